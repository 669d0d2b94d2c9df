"""Spans as they leave: by the library's own memory, and over HTTP to a collector."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from tests.agent.driving import ROOT

from lambent.adapters.telemetry.spans import InvocationSpan, Phase
from lambent.adapters.telemetry.tracing import Tracing

TRACE, PARENT = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7


def span(error: str = "") -> InvocationSpan:
    now = time.monotonic()
    phases = (Phase("queue", now - 3, now - 1), Phase("invoke", now - 1, now))
    return InvocationSpan(TRACE, PARENT, Phase("hello", now - 3, now), phases, {"faas.coldstart": False}, error)


def test_an_invocation_is_a_span_with_its_phases_below():
    """Of the caller's trace, below the caller's span, at the time at which it was."""
    memory = InMemorySpanExporter()
    tracing = Tracing("gateway", SimpleSpanProcessor(memory))
    before = time.time_ns()
    tracing.record(span())
    queue, invoke, whole = memory.get_finished_spans()
    assert [each.name for each in (queue, invoke, whole)] == ["queue", "invoke", "hello"]
    assert {each.context.trace_id for each in (queue, invoke, whole)} == {TRACE}
    assert (whole.parent.span_id, whole.parent.is_remote, whole.kind) == (PARENT, True, SpanKind.SERVER)
    assert {queue.parent.span_id, invoke.parent.span_id} == {whole.context.span_id}
    assert abs(whole.end_time - before) < 60e9
    assert round((whole.end_time - whole.start_time) / 1e9, 3) == 3.0
    assert queue.end_time == invoke.start_time
    assert whole.attributes == {"faas.coldstart": False}
    assert whole.resource.attributes["service.name"] == "gateway"
    assert whole.status.status_code is StatusCode.UNSET
    tracing.close()


def test_a_failed_invocation_says_so():
    """As its status."""
    memory = InMemorySpanExporter()
    Tracing("gateway", SimpleSpanProcessor(memory)).record(span("function_error"))
    whole = memory.get_finished_spans()[-1]
    assert (whole.status.status_code, whole.status.description) == (StatusCode.ERROR, "function_error")


def test_a_collector_gets_what_was_recorded_before_the_end():
    """OTLP over HTTP, as the standard has it; closing sends what waits."""
    heard: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            heard.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}/v1/traces"
        tracing = Tracing("gateway", BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
        tracing.record(span())
        tracing.close()
        server.shutdown()
    assert [path for path, _ in heard] == ["/v1/traces"]
    (resource,) = ExportTraceServiceRequest.FromString(heard[0][1]).resource_spans
    assert {each.name for each in resource.scope_spans[0].spans} == {"queue", "invoke", "hello"}


def test_who_wants_no_spans_does_not_load_the_library():
    """A gateway's modules without it."""
    program = (
        "import sys, lambent.gateway.process; print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(ROOT / "operator")}, capture_output=True, check=True
    )
    assert done.stdout == b"[]\n"

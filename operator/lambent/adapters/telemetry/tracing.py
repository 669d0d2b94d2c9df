"""OpenTelemetry: spans to a collector, as OTEL_EXPORTER_OTLP_ENDPOINT and the other variables of its standard say.

An optional extra, imported only where the endpoint is set: it costs memory, and who does not want it has none of it.
"""

from __future__ import annotations

import time

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from .spans import InvocationSpan


class Tracing:
    """Records spans that are over; a thread of the library sends them, and drops what it cannot keep up with."""

    def __init__(self, service: str, processor: SpanProcessor | None = None) -> None:
        resource = Resource.create({SERVICE_NAME: service})
        # Who is sampled was decided with the request's trace header.
        self._provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("lambent")

    def record(self, span: InvocationSpan) -> None:
        """One invocation that is over."""
        offset = time.time() - time.monotonic()
        remote = SpanContext(span.trace_id, span.parent_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
        context = set_span_in_context(NonRecordingSpan(remote))
        whole = self._tracer.start_span(
            span.whole.name, context, SpanKind.SERVER, span.attributes, start_time=_ns(span.whole.begin + offset)
        )
        below = set_span_in_context(whole)
        for phase in span.phases:
            self._tracer.start_span(phase.name, below, start_time=_ns(phase.begin + offset)).end(
                _ns(phase.end + offset)
            )
        if span.error:
            whole.set_status(Status(StatusCode.ERROR, span.error))
        whole.end(_ns(span.whole.end + offset))

    def close(self) -> None:
        """Send what is left; blocks for as long as the exporter's timeout."""
        self._provider.shutdown()


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)

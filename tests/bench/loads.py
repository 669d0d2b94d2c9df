"""Asking the load program: what to send, for how long, and what came of it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from . import ratios
from .places import BENCH
from .processes import on_core

EVENT = b'{"key1": "value1", "key2": "value2", "key3": "value3"}'
"""Lambda's own test event, in the spacing in which Python's json writes it: an echo is byte for byte the same."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go and what they are: `before`, a number of twelve digits, `after`."""

    host: str
    port: int
    before: bytes
    after: bytes
    expected: bytes | None = EVENT


@dataclass(frozen=True, slots=True)
class Stretch:
    """How long one block lasts: at least `least_s` and `requests`, but never over `most_s`. `rate` opens the loop."""

    warmup_s: float
    least_s: float
    most_s: float
    requests: int = 0
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """What one load saw. `latency` counts to the complete body, `cycle` to the complete message."""

    n: int
    sent: int
    """With those of the warm-up."""
    seconds: float
    rate: float
    errors: int
    failures: list[str]
    loader_cpu_us: float
    latency: dict[str, float] = field(default_factory=dict)
    cycle: dict[str, float] = field(default_factory=dict)


def request(path: str, headers: Sequence[tuple[str, str]], numbered: str, event: bytes = EVENT) -> tuple[bytes, bytes]:
    """`before` and `after` of a POST of the event; `numbered` is the header line that ends with the number."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    before = f"POST {path} HTTP/1.1\r\n{lines}Content-Type: application/json\r\nContent-Length: {len(event)}\r\n"
    return f"{before}{numbered}".encode(), b"\r\n\r\n" + event


def summary(samples: Sequence[float]) -> dict[str, float]:
    """Quantiles in µs."""
    ordered = sorted(samples)
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999, "max": 1.0}
    figures = {name: ratios.quantile(ordered, share) for name, share in shares.items()}
    return {**figures, "mean": round(sum(ordered) / len(ordered), 2) if ordered else float("nan")}


SMALL, STREAMING = "loader.py", "stream_loader.py"
"""Load programs: for answers that are kept and compared, and for those that are too large for that."""
STREAMED_BYTES = 64 * 1024 * 1024
"""Of each streamed answer."""


def load(target: Target, stretch: Stretch, *, connections: int, core: int, program: str = SMALL) -> Loaded:
    """Run the load program once, as a fresh process. Raises CalledProcessError with its complaint."""
    wanted = {
        "host": target.host,
        "port": target.port,
        "before": base64.b64encode(target.before).decode(),
        "after": base64.b64encode(target.after).decode(),
        "expected": None if target.expected is None else base64.b64encode(target.expected).decode(),
        "connections": connections,
        "warmup_s": stretch.warmup_s,
        "least_s": stretch.least_s,
        "most_s": stretch.most_s,
        "requests": stretch.requests,
        "rate": stretch.rate,
        "least_bytes": STREAMED_BYTES,
    }
    done = subprocess.run(
        [sys.executable, "-IS", str(BENCH / program)],
        input=json.dumps(wanted).encode(),
        capture_output=True,
        preexec_fn=on_core(core),
        check=False,
        timeout=stretch.warmup_s + stretch.most_s + 60,
    )
    if done.returncode != 0:
        raise LoadFailed(done.stderr.decode("utf-8", "replace").strip()[-1500:])
    return loaded(json.loads(done.stdout))


class LoadFailed(Exception):
    """The load program gave up; the message is its last words."""


def loaded(answer: dict[str, Any]) -> Loaded:
    """The load program's answer without its samples."""
    n = len(answer["latencies_us"])
    return Loaded(
        n=n,
        seconds=round(answer["seconds"], 3),
        rate=round(n / answer["seconds"], 1),
        errors=answer["errors"],
        failures=answer["failures"],
        sent=answer["sent"],
        loader_cpu_us=round(answer["cpu_s"] / answer["sent"] * 1e6, 1),
        latency=summary(answer["latencies_us"]),
        cycle=summary(answer["cycles_us"]),
    )

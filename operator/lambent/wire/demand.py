"""Demand: one NDJSON line a key, from gateways to the active controller (`GET /v1/demand`)."""

from __future__ import annotations

import json

from lambent.model.environments import Counters, Demand, IdleEnvironment, Key


def encode_demand(demand: Demand) -> bytes:
    """One line, ending with a newline."""
    counters = demand.counters
    line = {
        "seq": demand.seq,
        "key": str(demand.key),
        "inFlight": demand.in_flight,
        "waiting": demand.waiting,
        "starting": demand.starting,
        "idle": [{"pod": idle.pod, "ms": idle.ms} for idle in demand.idle],
        "counters": {
            "invocations": counters.invocations,
            "errors": counters.errors,
            "throttles": counters.throttles,
            "durationBuckets": list(counters.duration_buckets),
        },
    }
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def decode_demand(line: bytes) -> Demand:
    """Parse one line.

    Raises:
        ValueError: when the line is not a demand line.
    """
    try:
        fields = json.loads(line)
        counters = fields.get("counters") or {}
        return Demand(
            seq=int(fields["seq"]),
            key=Key.parse(fields["key"]),
            in_flight=int(fields["inFlight"]),
            waiting=int(fields["waiting"]),
            starting=int(fields["starting"]),
            idle=tuple(IdleEnvironment(str(idle["pod"]), int(idle["ms"])) for idle in fields["idle"]),
            counters=Counters(
                int(counters.get("invocations", 0)),
                int(counters.get("errors", 0)),
                int(counters.get("throttles", 0)),
                tuple(int(bucket) for bucket in counters.get("durationBuckets", ())),
            ),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a demand line: {error!r}") from error

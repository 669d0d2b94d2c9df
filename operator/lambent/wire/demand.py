"""Demand: one NDJSON line a key, from gateways to the active controller (`GET /v1/demand`).

`counters` are totals of this gateway for this key: they begin at zero when it starts and with every podRevision, and
never fall while the key has a route. `invocations` are those that ended; `errors` those of them that did not succeed:
function errors, and environments that were lost or not to be had in time (the caller saw a 5xx): a version that
cannot start is as bad as one that fails. `throttles` (429) are not among the invocations. `durationBuckets` are the
counts of `lambent_duration_seconds`, not cumulated, the last one without an upper bound.
"""

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
            seq=_count(fields["seq"]),
            key=Key.parse(fields["key"]),
            in_flight=_count(fields["inFlight"]),
            waiting=_count(fields["waiting"]),
            starting=_count(fields["starting"]),
            idle=tuple(IdleEnvironment(str(idle["pod"]), _count(idle["ms"])) for idle in fields["idle"]),
            counters=Counters(
                _count(counters.get("invocations", 0)),
                _count(counters.get("errors", 0)),
                _count(counters.get("throttles", 0)),
                tuple(_count(bucket) for bucket in counters.get("durationBuckets", ())),
            ),
        )
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a demand line: {error!r}") from error


def _count(value: object) -> int:
    """A number of things: there are no negative ones."""
    if not isinstance(value, int | float):
        raise TypeError(value)
    count = int(value)
    if count < 0:
        raise ValueError(f"not a demand line: {count} is negative")
    return count

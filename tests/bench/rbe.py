"""RBE: from the answer that makes a breach to the last answer of the bad version, as a client sees it.

A release on the cluster, an alias with half of its traffic at a version that fails, one client without a pause. The
breach is the answer with which the alarm's samples are complete; from there the gateway's next line of demand, the
controller's decision, its write and the gateway's watch all count.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.parse
from dataclasses import dataclass, field
from typing import Any

from . import ratios
from .beds import NAMESPACE, Bed, bed
from .machines import Cores
from .processes import DidNotStart
from .results import Measured
from .shapes import Plan

ROUNDS, SHORT = 30, 5
SAMPLES = 5
"""Invocations of the bad version that the alarm needs."""
GOOD, BAD = "def handler(e, c): return 1\n", "def handler(e, c): raise ValueError('not this one')\n"
ROLLOUT = {
    "steps": [{"percentage": 50, "seconds": 3600}],
    "alarms": [{"name": "errors", "metric": "ErrorRate", "threshold": 5, "period": 30, "minimumSamples": SAMPLES}],
}
NAME, ALIAS = "rolled", "rolled.live"
WITHIN_S, QUIET_S = 60.0, 2.0
"""A round ends when the bad version has said nothing for so long after it was taken back."""


@dataclass(slots=True)
class _Round:
    bad: list[float] = field(default_factory=list)
    """When the bad version answered."""
    others: int = 0
    """Answers that are none of the two versions'."""

    @property
    def seconds(self) -> float:
        """From the breach to the last bad answer."""
        return self.bad[-1] - self.bad[min(SAMPLES, len(self.bad)) - 1]


def measure(plan: Plan, cores: Cores) -> Measured:
    """Raises DidNotStart."""
    del cores  # a whole cluster is measured
    with bed() as laid:
        _publish(laid, GOOD, "1")
        _publish(laid, BAD, "2")
        client = _Client(laid)
        _point(laid, "1")
        _settled(laid, "1")
        client.ask("2")  # an environment of its own, so that no cold start is measured
        rounds = [_round(laid, client) for _ in range(ROUNDS if plan.full else SHORT)]
    waits = sorted(one.seconds for one in rounds)
    figures = {
        "p99_ms": 1000 * ratios.quantile(waits, 0.99),
        "p50_ms": 1000 * ratios.quantile(waits, 0.5),
        "max_ms": 1000 * waits[-1],
        "bad_after": sum(len(one.bad) - SAMPLES for one in rounds) / len(rounds),
        "errors": sum(one.others for one in rounds),
    }
    return Measured({name: float(value) for name, value in figures.items()}, len(rounds))


def _round(laid: Bed, client: _Client) -> _Round:
    seen = _Round()
    _point(laid, "2")
    deadline = time.monotonic() + WITHIN_S
    while True:
        version = client.ask("live")
        now = time.monotonic()
        if version == "2":
            seen.bad.append(now)
        elif version != "1":
            seen.others += 1
        if len(seen.bad) >= SAMPLES and now - seen.bad[-1] > QUIET_S:
            break
        if now > deadline:
            raise DidNotStart(f"no rollback within {WITHIN_S} s: {_alias(laid).get('status')}")
    rollout = _alias(laid)["status"]["rollout"]
    if rollout["phase"] != "RolledBack" or rollout["reason"] != "Alarm":
        raise DidNotStart(f"the rollout ended otherwise: {rollout}")
    _point(laid, "1")
    _settled(laid, "1")
    return seen


class _Client:
    def __init__(self, laid: Bed) -> None:
        address = urllib.parse.urlsplit(laid.url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port or 80, timeout=WITHIN_S)
        self._headers = {"Authorization": f"Bearer {laid.token}"}

    def ask(self, qualifier: str) -> str:
        """The version that ran."""
        path = f"/2015-03-31/functions/{NAME}/invocations?Qualifier={qualifier}"
        self._connection.request("POST", path, b"{}", self._headers)
        answer = self._connection.getresponse()
        answer.read()
        return answer.getheader("X-Amz-Executed-Version", f"none: {answer.status}")


def _publish(laid: Bed, source: str, number: str) -> None:
    laid.apply(NAME, source, memorySize=1769, timeout=10, publish=True)
    _until(lambda: laid.cluster.get("fn", NAME, "-n", NAMESPACE)["status"].get("latestVersion") == number)


def _point(laid: Bed, version: str) -> None:
    body = {
        "apiVersion": "lambent.dev/v1alpha1",
        "kind": "Alias",
        "metadata": {"name": ALIAS, "namespace": NAMESPACE},
        "spec": {"functionName": NAME, "functionVersion": version, "rollout": ROLLOUT},
    }
    laid.cluster.run_kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(body))


def _alias(laid: Bed) -> dict[str, Any]:
    found: dict[str, Any] = laid.cluster.get("fna", ALIAS, "-n", NAMESPACE)
    return found


def _settled(laid: Bed, version: str) -> None:
    def there() -> bool:
        found = _alias(laid)
        status = found.get("status", {})
        ready = [one["status"] for one in status.get("conditions", []) if one["type"] == "Ready"]
        current = status.get("observedGeneration") == found["metadata"]["generation"]
        return current and ready == ["True"] and status.get("routing") == {"functionVersion": version}

    _until(there)


def _until(question: Any) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not question():
        if time.monotonic() > deadline:
            raise DidNotStart(f"not within {WITHIN_S} s")
        time.sleep(0.1)

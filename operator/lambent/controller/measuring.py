"""What the controller counts, in the words of Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

CREATED, DELETED, RETIRED, REFUSED = "created", "deleted", "retired", "refused"
NARROWED, NOT_NARROWED = "narrowed", "narrowing_refused"
SUCCESS, ERROR = "success", "error"
_FINE = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_COARSE = (0.001, 0.01, 0.1, 1.0, 10.0)


@contextmanager
def timing(seconds: Histogram) -> Iterator[None]:
    """Observe how long what is inside takes, by its outcome: an error is what it raises."""
    started, outcome = time.perf_counter(), ERROR
    try:
        yield
        outcome = SUCCESS
    finally:
        seconds.labels(outcome).observe(time.perf_counter() - started)


class ControllerMetrics:
    """The controller's own metrics; those of invocations are the gateways'."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.reconciles = _reconciles(registry, "lambent_controller_reconcile_seconds", "a Function", _FINE)
        self.pods = Counter(
            "lambent_controller_pods",
            "Environment pods that the controller created, narrowed, retired or deleted, and what of it was refused.",
            ["action"],
            registry=registry,
        )
        self.status_writes = Counter(
            "lambent_controller_status_writes", "Writes of a status. A quiet system has none.", registry=registry
        )
        self.layer_reconciles = _reconciles(registry, "lambent_controller_layer_reconcile_seconds", "a Layer", _COARSE)
        self.layer_versions = Counter(
            "lambent_controller_layer_versions_published", "Versions of layers that were published.", registry=registry
        )
        self.alias_reconciles = _reconciles(registry, "lambent_controller_alias_reconcile_seconds", "an Alias", _FINE)
        self.rollouts = Counter(
            "lambent_controller_rollouts",
            "Rollouts of aliases that ended, by how (Succeeded, RolledBack, Stopped, Superseded).",
            ["phase"],
            registry=registry,
        )
        self.version_reconciles = _reconciles(
            registry, "lambent_controller_version_reconcile_seconds", "a Version", _COARSE
        )
        self.publishings = Counter(
            "lambent_controller_publishings",
            "Looks at what is to be published or let go of a function's name, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self.versions = Counter(
            "lambent_controller_versions_published", "Versions of functions that were published.", registry=registry
        )
        self.versions_deleted = Counter(
            "lambent_controller_versions_deleted", "Versions that retention let go.", registry=registry
        )
        self.depth = Gauge("lambent_controller_queue_depth", "Objects that wait to be looked at.", registry=registry)
        self.leading = Gauge("lambent_controller_leading", "1 while this replica leads, else 0.", registry=registry)
        self.fetches = Histogram(
            "lambent_controller_fetch_seconds",
            "Time to fetch and store code from outside, by source (url, s3, config_map, artifact, image) and outcome.",
            ["source", "outcome"],
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0),
            registry=registry,
        )
        self.fetched_bytes = Counter(
            "lambent_controller_fetched_bytes",
            "Bytes of code that were fetched and stored.",
            ["source"],
            registry=registry,
        )


def _reconciles(registry: CollectorRegistry, name: str, what: str, buckets: tuple[float, ...]) -> Histogram:
    return Histogram(
        name,
        f"Time from taking up {what} to having applied what was decided, by outcome.",
        ["outcome"],
        buckets=buckets,
        registry=registry,
    )

"""Which metrics belong to which version of a function: children resolved once for each, forgotten with it."""

from __future__ import annotations

from collections.abc import Callable

from lambent.adapters.telemetry.metrics import FunctionMetrics, Metrics
from lambent.core.routes import Route
from lambent.model.environments import Key

Labels = tuple[str, str, str]


class Measures:
    """The metrics of `$LATEST` and every version that was routed."""

    def __init__(self, metrics: Metrics, in_flight: Callable[[Key], int]) -> None:
        self._metrics = metrics
        self._in_flight = in_flight
        """Requests in flight of what a key is of, asked when Prometheus scrapes."""
        self._known: dict[Labels, tuple[str, FunctionMetrics]] = {}

    def of(self, route: Route) -> FunctionMetrics:
        """The resolved children of a route's function and version."""
        labels, key = (route.namespace, route.function_name, route.version), route.key
        known = self._known.get(labels)
        if known is None or known[0] != key.function_uid:
            children = self._metrics.function(labels, lambda: self._in_flight(key))
            known = self._known[labels] = (key.function_uid, children)
        return known[1]

    def forget(self, route: Route) -> None:
        """The function or its version is gone: its series would stay for ever."""
        labels = (route.namespace, route.function_name, route.version)
        known = self._known.get(labels)
        if known is not None and known[0] == route.key.function_uid:
            del self._known[labels]
            self._metrics.forget(labels)

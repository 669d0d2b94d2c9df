"""Which metrics belong to which function: children resolved once per function, forgotten with it."""

from __future__ import annotations

from collections.abc import Callable

from lambent.adapters.telemetry.metrics import FunctionMetrics, Metrics
from lambent.core.routing import Route

Labels = tuple[str, str, str]


class Measures:
    """The metrics of every function that was routed."""

    def __init__(self, metrics: Metrics, in_flight: Callable[[str], int]) -> None:
        self._metrics = metrics
        self._in_flight = in_flight
        """Requests in flight of a function UID, asked when Prometheus scrapes."""
        self._known: dict[Labels, tuple[str, FunctionMetrics]] = {}

    def of(self, route: Route) -> FunctionMetrics:
        """The resolved children of a route's function and version."""
        labels, uid = (route.namespace, route.function_name, route.version), route.key.function_uid
        known = self._known.get(labels)
        if known is None or known[0] != uid:
            children = self._metrics.function(labels, lambda: self._in_flight(uid))
            known = self._known[labels] = (uid, children)
        return known[1]

    def forget(self, route: Route) -> None:
        """The function is gone: its series would stay for ever."""
        labels = (route.namespace, route.function_name, route.version)
        known = self._known.get(labels)
        if known is not None and known[0] == route.key.function_uid:
            del self._known[labels]
            self._metrics.forget(labels)

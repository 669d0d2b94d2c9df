"""Spans of invocations: which phases one had, and when. Asked only where somebody wants spans."""

from __future__ import annotations

from typing import Protocol

from lambent.adapters.telemetry.spans import CLAIM, INIT, INVOKE, QUEUE, InvocationSpan, Phase
from lambent.core.routes import Route
from lambent.wire import tracing

from .environments import Environment


class Spans(Protocol):
    """Where spans go."""

    def record(self, span: InvocationSpan) -> None:
        """One invocation that is over."""


class Course:
    """One invocation from its arrival on, by the loop's clock."""

    __slots__ = ("_arrived", "_environment", "_lent", "_route")

    def __init__(self, route: Route, environment: Environment, arrived: float, lent: float) -> None:
        self._route = route
        self._environment = environment
        self._arrived = arrived
        self._lent = lent

    def span(self, request_id: str, trace: str, error: str, now: float) -> InvocationSpan | None:
        """Its span; None for an invocation that is not sampled, or whose caller's ids are none."""
        context = tracing.span_context(trace)
        if context is None or not context.sampled:
            return None
        waited = self._waited()
        return InvocationSpan(
            trace_id=context.trace_id,
            parent_id=context.parent_id,
            whole=Phase(self._route.function_name, self._arrived, now),
            phases=(*waited, Phase(INVOKE, self._lent, now)),
            attributes={
                "faas.name": self._route.function_name,
                "faas.version": self._route.version,
                "faas.invocation_id": request_id,
                "faas.coldstart": len(waited) > 1,
                "cloud.resource_id": self._route.arn,
                "k8s.namespace.name": self._route.namespace,
                "k8s.pod.name": self._environment.pod.name,
            },
            error=error,
        )

    def _waited(self) -> tuple[Phase, ...]:
        """What came before it was sent: nothing on the warm path."""
        if self._lent <= self._arrived:
            return ()
        queue = Phase(QUEUE, self._arrived, self._lent)
        start = self._environment.start
        if start is None or not self._arrived <= start.ready <= self._lent:
            return (queue,)  # it waited for an environment that was there
        return (queue, Phase(CLAIM, start.claimed, start.init), Phase(INIT, start.init, start.ready))

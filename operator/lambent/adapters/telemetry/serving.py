"""Port 9090: `/metrics` for Prometheus, `/healthz` and `/readyz` for the kubelet. Nothing secret."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from lambent.adapters.http.servers import BoundedServer, Bounds, Fields

Check = Callable[[], str | None]
"""None when all is well, else what is not."""


def _well() -> str | None:
    return None


def _unreadable(status: int) -> tuple[Fields, bytes]:  # noqa: ARG001 - the words are the same for all
    return [(b"Content-Type", b"text/plain; charset=utf-8")], b"the request cannot be read\n"


@dataclass(frozen=True, slots=True)
class Health:
    """What the kubelet asks: restart me (`live`), send me requests (`ready`)."""

    live: Check = _well
    ready: Check = _well


class TelemetryServer:
    """Serves until `stop`; `port` is the real one once started (0 asks for any)."""

    def __init__(self, registry: CollectorRegistry, health: Health | None = None) -> None:
        self._registry = registry
        self._health = health or Health()
        self._runner: web.ServerRunner | None = None
        self.port = 0

    async def start(self, port: int, host: str | None = None) -> None:
        """Listen on `port` of all interfaces, or of one."""
        server = BoundedServer(self._answer, _unreadable, Bounds(connections=256))
        self._runner = web.ServerRunner(server)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/metrics":
            body = generate_latest(self._registry)
            return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
        checks = {"/healthz": self._health.live, "/readyz": self._health.ready}
        check = checks.get(request.path)
        if check is None:
            return web.Response(status=404, text="not found\n")
        problem = check()
        return web.Response(status=200 if problem is None else 503, text=(problem or "ok") + "\n")

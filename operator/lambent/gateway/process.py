"""`lambent gateway`: the composition root. Builds everything once, runs it, and ends in order on SIGTERM."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import aiohttp

from lambent.adapters.agents.doors import AgentDoor
from lambent.adapters.code.client import CodeStoreClient
from lambent.adapters.kube import access_reviews, resources, tokens
from lambent.adapters.kube.access_reviews import Action
from lambent.adapters.kube.client import KubeClient
from lambent.adapters.kube.observing import Observation, observe
from lambent.adapters.telemetry.logs import configure_logging
from lambent.agent.protocol.names import DOOR_PORT
from lambent.model import names
from lambent.model.environments import EnvironmentPod
from lambent.model.identities import Identity
from lambent.wire.agent_tokens import agent_token

from .assembling import Callers, Gateway, Outside
from .hook_reports import ApplyStatus
from .settings import Settings

if TYPE_CHECKING:
    from lambent.adapters.telemetry.tracing import Tracing

log = logging.getLogger(__name__)


class KubeSource:
    """`watching.Source` over the API server."""

    def __init__(self, client: KubeClient, namespaces: tuple[str, ...]) -> None:
        self._client = client
        # every namespace carries its own name as a label since Kubernetes 1.21
        self._namespaces = f"kubernetes.io/metadata.name in ({','.join(namespaces)})" if namespaces else ""

    def functions(self, namespace: str | None) -> AsyncIterator[Observation]:
        """See Source."""
        return observe(self._client, resources.FUNCTIONS, namespace=namespace)

    def versions(self, namespace: str | None) -> AsyncIterator[Observation]:
        """See Source."""
        return observe(self._client, resources.VERSIONS, namespace=namespace)

    def aliases(self, namespace: str | None) -> AsyncIterator[Observation]:
        """See Source."""
        return observe(self._client, resources.ALIASES, namespace=namespace)

    def pods(self, namespace: str | None) -> AsyncIterator[Observation]:
        """See Source."""
        return observe(self._client, resources.PODS, namespace=namespace, selector=names.ENVIRONMENT_SELECTOR)

    def namespaces(self) -> AsyncIterator[Observation]:
        """See Source."""
        return observe(self._client, resources.NAMESPACES, selector=self._namespaces)


def door_maker(agent_key: bytes, port: int = DOOR_PORT) -> Callable[[EnvironmentPod, Callable[[], None]], AgentDoor]:
    """Doors of pods, each with its token."""

    def make(pod: EnvironmentPod, lost: Callable[[], None]) -> AgentDoor:
        token = agent_token(agent_key, pod.namespace, pod.name, pod.nonce)
        return AgentDoor(pod.ip or "", port, token, lost)

    return make


def alias_status_writer(client: KubeClient) -> ApplyStatus:
    """Writes what hooks reported."""

    async def apply(namespace: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
        path = resources.ALIASES.item(namespace, name)
        return await client.apply(path, body, names.FIELD_MANAGER_GATEWAY, force=True, subresource="status")

    return apply


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run a gateway against the cluster until `stop` is set and everything in flight has ended."""
    tracing = _tracing() if settings.otlp_endpoint else None
    async with await KubeClient.connect() as client, aiohttp.ClientSession() as session:
        outside = Outside(
            source=KubeSource(client, settings.namespaces),
            blobs=CodeStoreClient(settings.codestore_url, session),
            callers=_callers(client, settings.auth_audiences),
            make_door=door_maker(settings.agent_key),
            apply_alias_status=alias_status_writer(client),
            clock=time.time,
            spans=tracing,
        )
        gateway = Gateway(settings, outside)
        await gateway.start()
        gc.collect()
        gc.freeze()  # modules and models stay: collections in the middle of requests need not look at them
        log.info("gateway serves", extra={"ports": gateway.ports, "epoch": gateway.epoch})
        try:
            await stop.wait()
            await gateway.drain()
        finally:
            await gateway.stop()
            if tracing is not None:
                await asyncio.to_thread(tracing.close)


def _tracing() -> Tracing:
    """Imported here: most gateways have no collector, and need not have the extra."""
    try:
        from lambent.adapters.telemetry.tracing import Tracing
    except ImportError as error:
        raise ValueError(f"OTEL_EXPORTER_OTLP_ENDPOINT is set without the extra `otel`: {error}") from error
    return Tracing("lambent-gateway")


def _callers(client: KubeClient, audiences: tuple[str, ...]) -> Callers:
    async def authorize(identity: Identity, namespace: str, name: str) -> bool:
        return await access_reviews.allowed(
            client, identity, Action(names.VERB_INVOKE, resources.FUNCTIONS, namespace, name)
        )

    return Callers(
        internal=functools.partial(tokens.identify, client, audiences=(names.INTERNAL_AUDIENCE,)),
        public=functools.partial(tokens.identify, client, audiences=audiences),
        authorize=authorize,
    )


async def _main(settings: Settings) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(settings, stop)


def run() -> int:
    """Be the gateway until told to stop; 0 when everything in flight ended."""
    settings = Settings.from_environment(os.environ)
    configure_logging("gateway", settings.log_level)
    asyncio.run(_main(settings))
    log.info("gateway ended")
    return 0

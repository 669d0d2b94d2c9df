"""Where code comes from, put together: sessions that may dial what tenants name, and one for what we were told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from lambent.adapters.kube.client import KubeClient
from lambent.adapters.outbound.guarding import guarded_session
from lambent.adapters.registries.artifacts import ArtifactFetcher
from lambent.adapters.registries.client import RegistryClient
from lambent.adapters.sources.fetcher import Fetcher
from lambent.controller.measuring import ControllerMetrics
from lambent.controller.settings import SourceSettings
from lambent.controller.storing import Suppliers
from lambent.core.readiness import ResolvedImage


@asynccontextmanager
async def supplied(
    settings: SourceSettings, client: KubeClient, trusting: aiohttp.ClientSession, metrics: ControllerMetrics
) -> AsyncIterator[Suppliers]:
    """Suppliers, as long as the context lasts. `trusting` dials what the administrator named."""
    async with guarded_session(settings.addresses) as guarded:
        registries = RegistryClient(guarded, settings.insecure_registries)
        yield Suppliers(
            fetcher=Fetcher(guarded, trusting),
            objects=client,
            images=_Images(registries),
            artifacts=ArtifactFetcher(registries),
            s3_endpoint=settings.s3_endpoint,
            s3_region=settings.s3_region,
            metrics=metrics,
        )


class _Images:
    """Registries, in the words of the plan."""

    def __init__(self, registries: RegistryClient) -> None:
        self._registries = registries

    async def resolve(self, uri: str, architecture: str, credentials: Sequence[Mapping[str, Any]]) -> ResolvedImage:
        facts = await self._registries.resolve(uri, architecture, credentials)
        return ResolvedImage(
            resolved_uri=facts.resolved_uri,
            digest_hex=facts.digest_hex,
            size=facts.size,
            entry_point=facts.entry_point,
            command=facts.command,
            working_directory=facts.working_directory,
        )

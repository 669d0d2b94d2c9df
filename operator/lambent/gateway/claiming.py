"""What an environment is asked to become: a function's configuration and its code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lambent.agent.protocol.claims import Claim, Code
from lambent.core.routing import Route
from lambent.wire.signed_urls import blob_path, sign_path

from .codes import CodeCache

URL_SECONDS = 900
"""How long an agent may take to begin fetching code by URL."""


@dataclass(frozen=True, slots=True)
class CodeLinks:
    """Where the code store is and how its URLs are signed."""

    base_url: str
    key: bytes
    clock: Callable[[], float]
    """Seconds since the epoch."""

    def signed_path(self, sha256_hex: str) -> str:
        """Path and query that may be fetched for the next quarter of an hour."""
        return sign_path(self.key, "GET", blob_path(sha256_hex), int(self.clock()) + URL_SECONDS)


class Claiming:
    """Builds claims. Small code travels inside them, larger code is fetched by the agent."""

    def __init__(self, codes: CodeCache, links: CodeLinks, region: str, inline_bytes: int) -> None:
        self._codes = codes
        self._links = links
        self._region = region
        self._inline_bytes = inline_bytes

    async def claim(self, pod_uid: str, route: Route) -> Claim:
        """The claim of one pod for one route.

        The claim id is the pod's UID: two gateways that overlap claim with the same id, and the agent answers the
        second as the first.

        Raises:
            Unavailable, InvalidCode: small code could not be had.
        """
        return Claim(
            claimId=pod_uid,
            arn=route.arn,
            functionName=route.function_name,
            version=route.version,
            revision=route.revision,
            runtime=route.runtime,
            handler=route.handler,
            timeoutMs=route.timeout_ms,
            memoryMb=route.memory_mb,
            env=route.environment,
            code=await self._code(route),
            logging=dict(route.logging),
            tracing={"mode": route.tracing_mode},
            region=self._region,
            accountId=route.account,
        )

    async def _code(self, route: Route) -> Code | None:
        if not route.code_sha256:
            return None  # packageType Image: it is there already
        path = self._links.signed_path(route.code_sha256)
        if route.code_size <= self._inline_bytes:
            blob = await self._codes.get(route.code_sha256, path, self._inline_bytes)
            return Code(route.code_sha256, len(blob), inline=blob)
        return Code(route.code_sha256, route.code_size, url=self._links.base_url.rstrip("/") + path)

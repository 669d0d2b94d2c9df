"""What an environment is asked to become: a function's configuration, its code and its layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lambent.agent.protocol.claims import Claim, Code
from lambent.core.routes import Route
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
        self._codes_kept = codes
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
        codes, layers = await self._codes(route)
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
            code=codes[0] if codes else None,
            layers=layers,
            logging=dict(route.logging),
            tracing={"mode": route.tracing_mode},
            region=self._region,
            accountId=route.account,
        )

    async def _codes(self, route: Route) -> tuple[tuple[Code, ...], tuple[Code, ...]]:
        """The code (none with packageType Image: it is there already) and the layers; inline while there is room."""
        room = self._inline_bytes
        wanted = [(route.code_sha256, route.code_size)] if route.code_sha256 else []
        found = []
        for sha256, size in [*wanted, *((layer.sha256, layer.size) for layer in route.layers)]:
            code = await self._code(sha256, size, inline=size <= room)
            room -= size if code.inline is not None else 0
            found.append(code)
        return tuple(found[: len(wanted)]), tuple(found[len(wanted) :])

    async def _code(self, sha256: str, size: int, *, inline: bool) -> Code:
        path = self._links.signed_path(sha256)
        if inline:
            blob = await self._codes_kept.get(sha256, path, self._inline_bytes)
            return Code(sha256, len(blob), inline=blob)
        return Code(sha256, size, url=self._links.base_url.rstrip("/") + path)

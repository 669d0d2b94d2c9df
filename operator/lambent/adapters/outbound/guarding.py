"""HTTP sessions that cannot reach what a tenant must not reach, whatever a name, a redirect or a notation says.

An address is judged twice: as the resolver's answer, so that a refused one is not tried, and where the socket for it
is made, which is the very address that is dialled. Nothing is resolved in between, so no second answer of a name
server (DNS rebinding) is ever used. Notations that only the system's resolver understands (`0x7f.1`, `017700000001`)
come out of it as what they mean.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import aiohttp
from aiohttp import TraceConfig, TraceRequestRedirectParams
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from lambent.model.addresses import AddressPolicy
from lambent.model.errors import AddressRefused

REDIRECTS_MAX = 5
CONNECTIONS_MAX = 32
_RESOLVING = ThreadPoolExecutor(8, thread_name_prefix="resolve")
"""Threads of their own: a tenant's slow name server must not take those that everything else waits for."""


class SystemResolver(AbstractResolver):
    """The system's resolver."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name. Raises OSError when it has none."""
        ask = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        answers = await asyncio.get_running_loop().run_in_executor(_RESOLVING, ask)
        return [
            ResolveResult(
                hostname=host,
                host=f"{address[0]}%{address[3]}" if len(address) == 4 and address[3] else str(address[0]),
                port=port,
                family=of_family,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for of_family, _, protocol, _, address in answers
        ]

    async def close(self) -> None:
        """Nothing is open."""


class GuardedResolver(AbstractResolver):
    """A resolver that knows only what may be dialled."""

    def __init__(self, policy: AddressPolicy, resolver: AbstractResolver | None = None) -> None:
        self._policy = policy
        self._resolver = resolver or SystemResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name that may be dialled. Raises AddressRefused when it has only others."""
        answers = await self._resolver.resolve(host, port, family)
        refusals = [self._policy.refusal(answer["host"]) for answer in answers]
        passed = [answer for answer, refusal in zip(answers, refusals, strict=True) if refusal is None]
        if answers and not passed:
            raise _refused(refusals[0] or "")
        return passed

    async def close(self) -> None:
        """Close the resolver behind."""
        await self._resolver.close()


class SocketGuard:
    """Makes sockets only for addresses that may be dialled: aiohttp's `socket_factory`."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy

    def __call__(self, address: tuple[Any, ...]) -> socket.socket:
        """A socket for one answer of getaddrinfo; it is connected to nothing else."""
        family, kind, protocol, _, (host, *_) = address
        refusal = self._policy.refusal(host)
        if refusal is not None:
            raise _refused(refusal)
        return socket.socket(family, kind, protocol)


def guarded_connector(
    policy: AddressPolicy, resolver: AbstractResolver | None = None, **aiohttp_kwargs: Any
) -> aiohttp.TCPConnector:
    """A connector that dials only what the policy lets pass. `aiohttp_kwargs` are TCPConnector's own."""
    options = {"limit": CONNECTIONS_MAX, **aiohttp_kwargs}
    return aiohttp.TCPConnector(
        resolver=GuardedResolver(policy, resolver),
        socket_factory=SocketGuard(policy),
        use_dns_cache=False,  # an answer is used once: what was judged is what is dialled
        **options,
    )


def guarded_session(
    policy: AddressPolicy, *, connector: aiohttp.TCPConnector | None = None, **aiohttp_kwargs: Any
) -> aiohttp.ClientSession:
    """A session for addresses that tenants name. `aiohttp_kwargs` are ClientSession's own.

    Every request raises AddressRefused where a refused address, a redirect from https to http or a sixth redirect
    stands in the way. No proxy or password is taken from the environment, no cookie is kept, and aiohttp itself
    forwards Authorization to no other origin.

    `connector` is one of `guarded_connector`, when its options matter.
    """
    forbidden = {"trust_env", "proxy", "connector_owner"} & aiohttp_kwargs.keys()
    if forbidden:
        raise ValueError(f"a guarded session takes no {', '.join(sorted(forbidden))}")
    options: dict[str, Any] = {"cookie_jar": aiohttp.DummyCookieJar(), **aiohttp_kwargs}
    options["trace_configs"] = [_redirect_rules(), *options.get("trace_configs", ())]
    return aiohttp.ClientSession(connector=connector or guarded_connector(policy), trust_env=False, **options)


def _redirect_rules() -> TraceConfig:
    """Rules for every redirect that aiohttp follows; where it leads is judged when it is dialled."""
    rules: TraceConfig = aiohttp.TraceConfig()
    rules.on_request_redirect.append(_judge_redirect)
    return rules


async def _judge_redirect(_session: aiohttp.ClientSession, context: Any, redirect: TraceRequestRedirectParams) -> None:
    context.redirects = getattr(context, "redirects", 0) + 1
    wrong = None
    if context.redirects > REDIRECTS_MAX:
        wrong = f"it redirects more than {REDIRECTS_MAX} times"
    elif redirect.url.scheme == "https" and _target(redirect).scheme == "http":
        wrong = "it redirects from https to http"
    if wrong:
        redirect.response.close()
        raise AddressRefused(wrong)


def _target(redirect: TraceRequestRedirectParams) -> URL:
    """Where it leads; a Location that is none is left to aiohttp to refuse."""
    try:
        return redirect.url.join(URL(redirect.response.headers.get("Location", "")))
    except ValueError:
        return redirect.url


def _refused(rule: str) -> AddressRefused:
    return AddressRefused(f"it leads to {rule}, which may not be reached from here")

"""A registry in this process: what a real one does, and on request what none should do."""

from __future__ import annotations

import base64
import secrets
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from .image_content import digest_of

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    authorization: str
    form: str = ""


@dataclass
class FakeRegistry:
    """`scheme` is what it wants to see: nothing, "Basic" or "Bearer"; `answers` replace what it says by path."""

    scheme: str = ""
    users: dict[str, str] = field(default_factory=lambda: {"robot": "secret"})
    identity_tokens: set[str] = field(default_factory=set)
    anonymous: bool = False
    """Whether the token server gives tokens to anybody."""
    token_seconds: int = 300
    realm: str = ""
    place: str = ""
    """`host:port`, once it is served."""
    tls: bool = False
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    answers: dict[str, Handler] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.place}"

    def asked(self, part: str) -> list[Seen]:
        return [one for one in self.seen if part in one.path]

    def answer(self, path: str, body: bytes = b"", status: int = 200, **headers: str) -> None:
        """Say this under a path from now on."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}

        async def said(_request: web.Request) -> web.StreamResponse:
            return web.Response(status=status, body=body, headers=named)

        self.answers[path] = said

    async def handle(self, request: web.Request) -> web.StreamResponse:
        authorization = request.headers.get("Authorization", "")
        body = await request.read()
        form = body.decode() if request.method == "POST" and request.path == "/token" else ""
        self.seen.append(Seen(request.method, request.path_qs, authorization, form))
        if request.path in self.answers:
            return await self.answers[request.path](request)
        if request.path == "/token":
            return self._token(authorization, form)
        if not self._admitted(authorization):
            return self._challenge(request)
        *_, repository, kind, name = request.path.removeprefix("/v2/").rsplit("/", 2)
        if request.method == "GET":
            return self._get(repository, kind, name)
        if request.method == "POST":
            return web.Response(status=202, headers={"Location": f"{request.path}{secrets.token_hex(4)}"})
        if kind == "manifests":
            kept = (request.content_type, body)
            self.manifests[f"{repository}:{name}"] = self.manifests[f"{repository}:{digest_of(body)}"] = kept
        else:
            self.blobs[digest_of(body)] = body
            assert request.query["digest"] in self.blobs
        return web.Response(status=201)

    def _get(self, repository: str, kind: str, name: str) -> web.Response:
        if kind == "manifests" and f"{repository}:{name}" in self.manifests:
            media_type, content = self.manifests[f"{repository}:{name}"]
            return web.Response(
                body=content, headers={"Content-Type": media_type, "Docker-Content-Digest": digest_of(content)}
            )
        if kind == "blobs" and name in self.blobs:
            return web.Response(body=self.blobs[name], content_type="application/octet-stream")
        return web.json_response({"errors": [{"code": "MANIFEST_UNKNOWN"}]}, status=404)

    def _admitted(self, authorization: str) -> bool:
        if not self.scheme:
            return True
        if self.scheme == "Basic":
            return self._is_user(authorization)
        return authorization.removeprefix("Bearer ") in self.tokens

    def _is_user(self, authorization: str) -> bool:
        pairs = (base64.b64encode(f"{name}:{word}".encode()).decode() for name, word in self.users.items())
        return authorization in {f"Basic {pair}" for pair in pairs}

    def _challenge(self, request: web.Request) -> web.Response:
        repository = request.path.removeprefix("/v2/").rsplit("/", 2)[0]
        said = f'{self.scheme} realm="{self.realm or self.url + "/token"}"'
        if self.scheme == "Bearer":
            said += f',service="fake",scope="repository:{repository}:pull"'
        return web.json_response({"errors": [{"code": "UNAUTHORIZED"}]}, status=401, headers={"WWW-Authenticate": said})

    def _token(self, authorization: str, form: str) -> web.Response:
        refreshed = any(f"refresh_token={one}" in form for one in self.identity_tokens)
        if not (refreshed or self._is_user(authorization) or (self.anonymous and not authorization and not form)):
            return web.json_response({"errors": [{"code": "UNAUTHORIZED"}]}, status=401)
        token = secrets.token_urlsafe(16)
        self.tokens.add(token)
        return web.json_response({"access_token" if form else "token": token, "expires_in": self.token_seconds})

    def push_token(self) -> str:
        """What opens it for a push."""
        if self.scheme == "Basic":
            name, word = next(iter(self.users.items()))
            return f"Basic {base64.b64encode(f'{name}:{word}'.encode()).decode()}"
        self.tokens.add("for-pushing")
        return "Bearer for-pushing" if self.scheme else ""


@asynccontextmanager
async def serving(
    registry: FakeRegistry, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[FakeRegistry]:
    """The registry on a port of its own."""
    runner = web.ServerRunner(web.Server(registry.handle), shutdown_timeout=0.1)  # type: ignore[arg-type]
    await runner.setup()
    await web.TCPSite(runner, host, 0, ssl_context=tls).start()
    registry.place, registry.tls = f"{host}:{runner.addresses[0][1]}", tls is not None
    try:
        yield registry
    finally:
        await runner.cleanup()

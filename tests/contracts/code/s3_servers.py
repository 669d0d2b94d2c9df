"""S3 for tests: a server that is a process, and a door before it that fails, stalls or kills when it is told to."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cache

import aiohttp
from aiobotocore.session import AioSession
from aiohttp import web

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "canary-key-id", "AWS_SECRET_ACCESS_KEY": "canary-secret"}


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@cache
def session() -> AioSession:
    """One for all clients of a test run: each session parses megabytes of JSON before its first client."""
    return AioSession()


@contextmanager
def s3_server() -> Iterator[str]:
    """The endpoint of a server of its own."""
    port = free_port()
    command = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            assert process.poll() is None, "the S3 server ended"
            try:
                urllib.request.urlopen(f"{url}/moto-api/", timeout=5).close()
                break
            except OSError:
                time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def s3_client(endpoint: str) -> AsyncIterator:  # type: ignore[type-arg]
    """The SDK's own client: what is in the bucket, by another way than ours."""
    async with session().create_client("s3", region_name="us-east-1", endpoint_url=endpoint) as client:
        yield client


async def make_bucket(endpoint: str, name: str) -> None:
    async with s3_client(endpoint) as client:
        await client.create_bucket(Bucket=name)


@dataclass(frozen=True)
class Call:
    """A request as it arrived at the door."""

    method: str
    path: str
    query: str

    @property
    def text(self) -> str:
        return f"{self.method} {self.path}?{self.query}"


Verdict = Callable[[Call], Awaitable[web.StreamResponse | None]]
"""None: forward it."""


@dataclass
class Doorman:
    """Forwards to the real server what `before` lets pass; `after` sees what was done and may change the answer."""

    upstream: str
    calls: list[Call] = field(default_factory=list)
    before: Verdict | None = None
    after: Verdict | None = None
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        call = Call(request.method, request.path, request.query_string)
        body = await request.content.read()  # without a limit, which `read` has
        self.calls.append(call)
        if self.before is not None and (answer := await self.before(call)) is not None:
            return answer
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        target = self.upstream + request.raw_path
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(request.method, _raw(target), data=body, headers=headers) as response,
        ):
            content = await response.read()
            kept = {name: value for name, value in response.headers.items() if name.lower() not in _HOP}
            status = response.status
        if self.after is not None and (answer := await self.after(call)) is not None:
            return answer
        if request.method == "HEAD":
            answer = web.StreamResponse(status=status, headers=kept)
            answer.content_length = int(response.headers.get("Content-Length", "0"))
            return answer
        return web.Response(status=status, body=content, headers=kept)


_HOP = {"content-length", "transfer-encoding", "connection", "server"}


def _raw(url: str):  # type: ignore[no-untyped-def]
    from yarl import URL

    return URL(url, encoded=True)


@asynccontextmanager
async def doorman(upstream: str) -> AsyncIterator[Doorman]:
    made = Doorman(upstream)
    server = web.Server(made.handle, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()


def failure(status: int, code: str, **headers: str) -> web.Response:
    """An error as S3 words it."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>said the test</Message></Error>"
    return web.Response(status=status, text=body, content_type="application/xml", headers=headers)


def always(response: Callable[[], web.Response], wanted: str = "") -> Verdict:
    async def verdict(call: Call) -> web.StreamResponse | None:
        return response() if wanted in call.text else None

    return verdict


async def eventually(check: Callable[[], object]) -> None:
    while not check():
        await asyncio.sleep(0.01)

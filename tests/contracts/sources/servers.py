"""Servers for sources: one that keeps files, one that does everything wrong, and how each source names them."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Server:
    """A real HTTP server on a real port; what it answers can be set."""

    handler: Handler | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[web.Request] = field(default_factory=list)
    sent: int = 0
    port: int = 0
    scheme: str = "http"
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if self.handler is not None:
            return await self.handler(request)
        content = self.files.get(request.path)
        if content is None:
            return web.Response(status=404, text="<html>nothing here</html>", content_type="text/html")
        return web.Response(body=content, content_type="application/zip")

    async def endless(self, request: web.Request) -> web.StreamResponse:
        """Bytes without end and without a length."""
        response = web.StreamResponse()
        await response.prepare(request)
        piece = bytes(64 * 1024)
        while True:
            await response.write(piece)
            self.sent += len(piece)

    async def stalling(self, request: web.Request) -> web.StreamResponse:
        """A beginning, and nothing more."""
        response = web.StreamResponse()
        response.content_length = 1000
        await response.prepare(request)
        await response.write(b"PK")
        await asyncio.sleep(60)
        return response

    async def dripping(self, request: web.Request) -> web.StreamResponse:
        """Never silent, never done."""
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b".")
            await asyncio.sleep(0.02)

    async def silent(self, _request: web.Request) -> web.StreamResponse:
        """No answer."""
        await asyncio.sleep(60)
        raise AssertionError("somebody waited")

    async def cut(self, request: web.Request) -> web.StreamResponse:
        """Less than was announced, then the end of the connection."""
        response = web.StreamResponse()
        response.content_length = 1000
        await response.prepare(request)
        await response.write(b"PK")
        assert request.transport is not None
        request.transport.abort()
        return response


def certificate(folder: Path) -> ssl.SSLContext:
    """A server's TLS that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


@asynccontextmanager
async def serving(
    handler: Handler | None = None, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Server]:
    server = Server(handler, scheme="https" if tls else "http", host="localhost" if tls else host)
    runner = web.ServerRunner(web.Server(server.answer, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, host, 0, ssl_context=tls).start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()

"""HTTP to one server, from the standard library: TLS, client certificates, proxies, answers that are read as they come.

A connection that was used a moment ago is used again; an older one is not, because a server may have closed it and a
request that was lost on the way may have been carried out.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, cast
from urllib.parse import urlsplit

from lambent.model.errors import Unavailable

from .outcomes import CommandFailed, ExitCode

CONNECT_SECONDS = 10.0
REUSED_SECONDS = 1.0
CHUNKED = ("Transfer-Encoding", "chunked")
"""Among the headers of a request: its body goes in chunks."""
_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Peer:
    """A server and what it and we have to prove."""

    url: str
    authority: bytes | None = None
    insecure: bool = False
    server_name: str | None = None
    proxy: str | None = None
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)


class NoAnswer(Unavailable):
    """A request was sent, and nothing came back in time: it may have been carried out."""


class Answer:
    """A response whose body is still to be read; `with` lets go of its connection."""

    def __init__(self, connections: Connections, connection: http.client.HTTPConnection, what: str) -> None:
        self._connections, self._connection, self._what = connections, connection, what
        self._response = connection.getresponse()
        self.status = self._response.status
        self.headers: Mapping[str, str] = cast("Mapping[str, str]", self._response.headers)
        """Case does not matter."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._response.isclosed() and not self._response.will_close:
            self._connections.keep(self._connection)
        else:
            self._connection.close()

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """The body in pieces, each as soon as it has come."""
        while True:
            try:
                piece = self._response.read1(_CHUNK_BYTES)
            except (OSError, http.client.HTTPException) as error:
                raise Unavailable(f"{self._what}: the answer broke off ({_reason(error)})") from error
            if not piece:
                if self._response.length:  # the library takes the end of the connection for the end of the body
                    raise Unavailable(f"{self._what}: the answer broke off, {self._response.length} bytes are missing")
                return
            yield piece

    def lines(self) -> Iterator[bytes]:
        """The body line by line, without the newlines."""
        rest = b""
        for piece in self.chunks():
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole
        if rest:
            yield rest

    def hang_up(self) -> None:
        """Ends a body that another thread is reading."""
        if (sock := self._connection.sock) is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:  # it had ended by itself
                return


class Connections:
    """Every connection to one server."""

    def __init__(self, peer: Peer) -> None:
        parts = urlsplit(peer.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CommandFailed(ExitCode.USAGE, f"{peer.url!r} is no URL of a server (http:// or https://)")
        self.url = peer.url.rstrip("/")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port or (443 if self._secure else 80)
        self._prefix = parts.path.rstrip("/")
        self._server_name = peer.server_name or parts.hostname
        self._context = _context(peer) if self._secure else None
        self._proxy = _proxy(peer, parts.scheme, parts.netloc)
        self._idle: list[tuple[float, http.client.HTTPConnection]] = []

    @property
    def is_private(self) -> bool:
        """Whether what is sent can be read on the way by nobody else."""
        return self._secure or self._host in ("localhost", "::1") or self._host.startswith("127.")

    def request(
        self, method: str, target: str, headers: list[tuple[str, str]], body: bytes | None, timeout: float | None
    ) -> Answer:
        """Send a request and wait for the head of its answer. `timeout`: seconds of silence; None waits for ever.

        Raises:
            Unavailable: there is no answer.
        """
        what = f"{method} {self.url}"
        connection = self._reusable()
        try:
            if connection is None:
                connection = self._dial()
            assert connection.sock is not None
            connection.sock.settimeout(timeout)
            self._send(connection, method, self._prefix + target, headers, body)
            return Answer(self, connection, what)
        except TimeoutError as error:
            self._drop(connection)
            if connection is None or connection.sock is None:
                raise Unavailable(f"cannot reach {self.url}: no connection within {CONNECT_SECONDS:g} s") from error
            raise NoAnswer(f"{self.url} gave no answer within {timeout:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            self._drop(connection)
            raise Unavailable(f"cannot reach {self.url}: {_reason(error)}") from error
        except BaseException:
            self._drop(connection)
            raise

    def keep(self, connection: http.client.HTTPConnection) -> None:
        """A connection whose answer was read to its end."""
        self._idle.append((time.monotonic(), connection))

    def _reusable(self) -> http.client.HTTPConnection | None:
        while self._idle:
            try:
                since, connection = self._idle.pop()
            except IndexError:  # another thread was quicker
                return None
            if time.monotonic() - since <= REUSED_SECONDS:
                return connection
            connection.close()
        return None

    def _dial(self) -> http.client.HTTPConnection:
        host, port = self._proxy or (self._host, self._port)
        connection = http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)
        if self._proxy:
            connection.set_tunnel(self._host, self._port)
        try:
            connection.connect()
            assert connection.sock is not None
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                connection.sock = self._context.wrap_socket(connection.sock, server_hostname=self._server_name)
        except BaseException:
            self._drop(connection)
            raise
        connection.auto_open = 0  # never again without TLS
        return connection

    @staticmethod
    def _send(
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        headers: list[tuple[str, str]],
        body: bytes | None,
    ) -> None:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        chunked = CHUNKED in headers
        if body is not None and not chunked:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        try:
            if chunked:
                _send_chunks(connection, body or b"")
            elif body:
                connection.send(body)
        except OSError:  # refused before the end: its answer says why
            return

    @staticmethod
    def _drop(connection: http.client.HTTPConnection | None) -> None:
        if connection is not None and connection.sock is not None:
            connection.sock.close()


def _send_chunks(connection: http.client.HTTPConnection, body: bytes) -> None:
    for start in range(0, len(body), _CHUNK_BYTES):
        piece = body[start : start + _CHUNK_BYTES]
        connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
    connection.send(b"0\r\n\r\n")


def _context(peer: Peer) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    try:
        if peer.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif peer.authority is not None:
            context.load_verify_locations(cadata=peer.authority.decode("ascii"))
        else:
            context.load_default_certs()
        if peer.certificate is not None:
            _load_certificate(context, peer)
    except (ssl.SSLError, ValueError) as error:
        raise CommandFailed(ExitCode.USAGE, "the kubeconfig's certificates cannot be read") from error
    return context


def _load_certificate(context: ssl.SSLContext, peer: Peer) -> None:
    """The standard library takes a certificate from files only: one that nobody else can read, for a moment."""
    descriptor, name = tempfile.mkstemp(prefix="lambent-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write((peer.certificate or b"") + b"\n" + (peer.key or b""))
        context.load_cert_chain(name)
    finally:
        Path(name).unlink()


def _proxy(peer: Peer, scheme: str, location: str) -> tuple[str, int] | None:
    url = peer.proxy
    if url is None:
        if not any(name.lower() in ("https_proxy", "http_proxy", "all_proxy") for name in os.environ):
            return None
        import urllib.request

        proxies = urllib.request.getproxies()
        url = proxies.get(scheme) or proxies.get("all")
        if url is None or urllib.request.proxy_bypass(location.rpartition("@")[2]):
            return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http" or not parts.hostname:
        raise CommandFailed(ExitCode.USAGE, f"a proxy of the kind {parts.scheme!r} is not supported: use http://")
    return parts.hostname, parts.port or 80


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__

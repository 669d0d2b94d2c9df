"""Getting a function's code and layers: from the claim itself or the code store, verified, unpacked. Runs in a thread.

Plain sockets with the same codec as everything else: the standard library's HTTP client would cost every agent
the e-mail package. Only `http://`: the code store is inside the cluster and the digest is what is trusted.
"""

import hashlib
import io
import re
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator
from typing import IO, Final

from .protocol.claims import Claim, Code
from .protocol.heads import MessageEnd, ProtocolError, ResponseHead
from .protocol.http1 import ResponseDecoder
from .protocol.names import MAX_UNZIPPED_BYTES, MAX_ZIPPED_BYTES
from .protocol.writing import encode_request
from .unpacking import BadArchive, merge, unpack

_SECONDS: Final = 30.0
_PIECE: Final = 256 * 1024
_IN_MEMORY: Final = 8 * 1024 * 1024
_URL: Final = re.compile(r"http://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?(/[!-~]*)")


class CodeUnavailable(Exception):
    """The code store did not deliver: worth another try elsewhere."""


def install(claim: Claim, task_root: str, opt_root: str) -> None:
    """Layers into `opt_root` in order, code into `task_root`, under one limit. BadArchive, CodeUnavailable."""
    left = MAX_UNZIPPED_BYTES
    if claim.layers:
        left -= merge(_each(claim.layers), opt_root, left)
    if claim.code is not None:
        with fetch(claim.code) as archive:
            unpack(archive, task_root, left)


def _each(codes: Iterable[Code]) -> Iterator[IO[bytes]]:
    """One after the other: only one of them lies on the disk beside what was unpacked."""
    for code in codes:
        with fetch(code) as archive:
            yield archive


def fetch(code: Code) -> IO[bytes]:
    """The zip, with the promised digest and size; large ones are on disk (`/tmp`), never all in memory."""
    if code.inline is not None:
        archive: IO[bytes] = io.BytesIO(code.inline)
        digest, size = hashlib.sha256(code.inline).hexdigest(), len(code.inline)
    else:
        assert code.url is not None
        archive = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  the caller closes it
        digest, size = _download(code.url, archive, min(code.size, MAX_ZIPPED_BYTES))
    if size > MAX_ZIPPED_BYTES:
        raise BadArchive(f"the zip is larger than {MAX_ZIPPED_BYTES} bytes")
    if digest != code.sha256 or size != code.size:
        raise BadArchive("the zip is not the one that was promised: its SHA-256 or size differs")
    archive.seek(0)
    return archive


def _download(url: str, archive: IO[bytes], limit: int) -> tuple[str, int]:
    form = _URL.fullmatch(url)
    if form is None:
        raise CodeUnavailable("the code's address is not an http:// URL")
    host, port, target = form[1].strip("[]"), int(form[2] or 80), form[3].encode()
    fields = ((b"Host", f"{form[1]}:{port}".encode()), (b"Connection", b"close"))
    try:
        with socket.create_connection((host, port), timeout=_SECONDS) as connection:
            connection.sendall(encode_request(b"GET", target, fields))
            return _receive(connection, archive, limit)
    except (OSError, ProtocolError, OverflowError) as error:
        raise CodeUnavailable(f"the code store does not deliver: {error}") from error


def _receive(connection: socket.socket, archive: IO[bytes], limit: int) -> tuple[str, int]:
    decoder, digest, size = ResponseDecoder(), hashlib.sha256(), 0
    deadline = time.monotonic() + _SECONDS
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise CodeUnavailable("the code store took too long")
        connection.settimeout(left)
        data = connection.recv(_PIECE)
        if not data:
            raise CodeUnavailable("the code store closed the connection too early")
        for event in decoder.feed(data):
            if isinstance(event, ResponseHead):
                if event.status != 200:
                    raise CodeUnavailable(f"the code store answered {event.status}")
            elif isinstance(event, bytes):
                size += len(event)
                if size > limit:  # not the one that was promised, however much more comes
                    raise BadArchive(f"the zip is larger than {limit} bytes")
                digest.update(event)
                archive.write(event)
            elif isinstance(event, MessageEnd):
                return digest.hexdigest(), size

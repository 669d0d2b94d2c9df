"""What hostile clients send, and what they hear."""

from __future__ import annotations

import asyncio

PATH = b"/2015-03-31/functions/hello/invocations"
HEAD = b"POST " + PATH + b" HTTP/1.1\r\nHost: x\r\n"
AFTER = b"POST /after HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
SMALL = HEAD + b"Content-Length: 2\r\n\r\n{}"

CLOSED, OPEN = "closed", "open"


async def read_all(reader, seconds: float = 0.5) -> tuple[bytes, str]:
    """What came, and whether the connection is closed."""
    received = b""
    try:
        async with asyncio.timeout(seconds):
            while piece := await reader.read(65536):
                received += piece
    except TimeoutError:
        return received, OPEN
    except ConnectionError:
        pass
    return received, CLOSED

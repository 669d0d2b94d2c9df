"""The load program for large answers: what it takes for one, and that it knows where it ends."""

import socket

import pytest
from tests.bench.stream_loader import read

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
BUFFER = memoryview(bytearray(1024))


def reading(*pieces: bytes) -> int:
    """The size of the answer that arrives in these pieces."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for piece in pieces:
            theirs.sendall(piece)
        theirs.shutdown(socket.SHUT_WR)
        return read(ours, BUFFER)[0]


@pytest.mark.parametrize("cut", [len(HEAD), len(HEAD) + 3, len(HEAD) + 40])
def test_an_answer_is_counted_to_its_last_chunk(cut):
    """Its framing too: who frames more has more to write."""
    message = HEAD + b"28\r\n" + b"x" * 40 + b"\r\n" + END
    assert reading(message[:cut], message[cut:]) == len(message) - len(HEAD)


@pytest.mark.parametrize("message", [HEAD + b"28\r\nxx", b"HTTP/1.1 500 No\r\n\r\n", b"HTTP/1.1 200 OK\r\n"])
def test_what_breaks_off_or_failed_is_no_answer(message):
    """An error of the block, not a fast answer."""
    with pytest.raises((ConnectionError, ValueError)):
        reading(message)

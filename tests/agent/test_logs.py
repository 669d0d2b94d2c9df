"""What the function writes reaches the pod's stdout whole, in order, bounded, and never stops the agent."""

import asyncio
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agent.driving import python

from lambent.agent.frames import MixedLines
from lambent.agent.logs import MAX_LINE_BYTES, MAX_UNWRITTEN_BYTES, Lines, LogPipe, Output, Tail


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(1, 64))
def test_a_tail_is_the_last_bytes(pieces, limit):
    """However they were added."""
    tail = Tail(limit)
    for piece in pieces:
        tail.add(piece)
    assert tail.value() == b"".join(pieces)[-limit:]


@given(st.lists(st.text("ab\r\n", max_size=10), max_size=20))
def test_lines_leave_whole_and_unchanged(pieces):
    """Only LF ends a line; the last one gets its newline when the platform wants to write."""
    data = "".join(pieces).encode()
    out: list[bytes] = []
    lines = Lines(out.append)
    for piece in pieces:
        lines.feed(piece.encode())
    assert all(piece.endswith(b"\n") for piece in out)
    lines.finish()
    assert b"".join(out) == data + (b"\n" if data and not data.endswith(b"\n") else b"")


def test_a_line_over_the_cap_is_cut():
    """A megabyte without newline is never held: at most 256 KiB wait."""
    out: list[bytes] = []
    lines = Lines(out.append)
    for _ in range(1024):
        lines.feed(b"x" * 1024)
    lines.finish()
    assert [len(piece) for piece in out] == [MAX_LINE_BYTES + 1] * 4


def frame(message, kind=0x0F, micros=1_665_576_015_064_300):
    """As AWS's clients write it."""
    return b"\xa5\x5a\x00%c%b%b%b" % (kind, len(message).to_bytes(4, "big"), micros.to_bytes(8, "big"), message)


LARGE = b"y" * (MAX_LINE_BYTES + 1)
MIXED = {
    "lines only": (b"a\nb\n", [b"a\nb\n"]),
    "one frame": (frame(b"[ERROR] x\nTraceback\n"), [(b"[ERROR] x\nTraceback\n", 1665576015.0643)]),
    "a message without newline gets one": (frame(b"x", 0x02), [(b"x\n", 1665576015.0643)]),
    "an empty message": (frame(b""), [(b"\n", 1665576015.0643)]),
    "in the order in which they were written": (
        b"one\n" + frame(b"two\n") + b"three\n",
        [b"one\n", (b"two\n", 1665576015.0643), b"three\n"],
    ),
    "an unfinished line ends before a frame": (b"one" + frame(b"two\n"), [b"one\n", (b"two\n", 1665576015.0643)]),
    "an unknown type is no frame": (b"\xa5\x5a\x00\x04" + bytes(12) + b"\n", [b"\xa5\x5a\x00\x04" + bytes(12) + b"\n"]),
    "a broken mark is no frame": (b"\xa5\x5a\x01\n", [b"\xa5\x5a\x01\n"]),
    "half a mark at the end": (b"a\n\xa5\x5a", [b"a\n\xa5\x5a\n"]),
    "half a head at the end": (b"a\n" + frame(b"")[:9], [b"a\n" + frame(b"")[:9] + b"\n"]),
    "half a message at the end": (frame(b"abc")[:-1], [frame(b"abc")[:-1] + b"\n"]),
    "what is too large for an event is lines": (
        frame(LARGE) + frame(b"after\n"),
        [LARGE[:-1] + b"\n", b"y\n", (b"after\n", 1665576015.0643)],
    ),
}


def joined(pieces):
    """Neighbouring lines are one, however they were cut."""
    told = []
    for piece in pieces:
        if isinstance(piece, bytes) and told and isinstance(told[-1], bytes):
            told[-1] += piece
        else:
            told.append(piece)
    return told


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
@pytest.mark.parametrize(("data", "expected"), MIXED.values(), ids=MIXED)
def test_framed_events_stand_among_lines(data, expected, step):
    """However the bytes arrive; what only looks like a frame passes as it is."""
    if step == 1 and len(data) > 10_000:
        step = 1000
    out = []
    lines = MixedLines(out.append, lambda message, when: out.append((message, when)))
    for position in range(0, len(data), step):
        lines.feed(data[position : position + step])
    lines.close()
    assert joined(out) == joined(expected)


@given(st.lists(st.one_of(st.binary(max_size=30), st.binary(max_size=30).map(frame)), max_size=8), st.integers(1, 50))
def test_no_byte_of_output_is_lost(pieces, step):
    """Of frames the message, of everything else all."""
    data, out = b"".join(pieces), []
    lines = MixedLines(out.append, lambda message, _: out.append(message))
    for position in range(0, len(data), step):
        lines.feed(data[position : position + step])
    lines.close()
    plain = []
    MixedLines(plain.append, lambda message, _: plain.append(message)).feed(data + b"\n")
    assert b"".join(out).rstrip(b"\n") == b"".join(plain).rstrip(b"\n")


async def test_a_full_stdout_blocks_nobody():
    """Up to a bound it is kept, beyond it is dropped, and the gap is counted where it was."""
    reader, writer = os.pipe()
    output = Output(asyncio.get_running_loop(), writer)
    line = b"x" * 1023 + b"\n"
    total = 4 * MAX_UNWRITTEN_BYTES // len(line)
    for _ in range(total):
        output.write(line)
        await asyncio.sleep(0)
    seen = b""
    os.set_blocking(reader, False)
    while b"lines dropped" not in seen:
        try:
            seen += os.read(reader, 65536)
        except BlockingIOError:
            await asyncio.sleep(0.001)
    last = seen.splitlines()[-1]
    kept = seen.count(line)
    assert last == b"lambent: %d lines dropped, stdout is not read" % (total - kept)
    output.write(b"after\n")
    await asyncio.sleep(0.01)
    assert os.read(reader, 65536) == b"after\n"
    os.close(reader)
    os.close(writer)


async def test_a_drain_takes_what_was_written_before():
    """The unfinished line too; what comes later starts anew."""
    out: list[bytes] = []
    pipe = LogPipe(asyncio.get_running_loop(), out.append)
    writer = os.dup(pipe.writer)
    pipe.started()
    os.write(writer, b"one\ntwo")
    pipe.drain()
    os.write(writer, b"three\n")
    os.close(writer)
    pipe.close()
    assert b"".join(out) == b"one\ntwo\nthree\n"


SOURCE = r"""
import os, sys
def handler(event, context):
    if event == "big":
        os.write(1, b"y" * 1_000_000)
    if event == "bytes":
        os.write(1, b"\xff\xfe caf\xe9\n")
    if event == "mixed":
        for i in range(50):
            print("out", i)
            print("err", i, file=sys.stderr)
    if event == "carriage":
        os.write(1, b"one\rtwo\n")
    if event == "tail":
        os.write(1, b"".join(b"line %04d\n" % i for i in range(1000)))
    return event
"""


@pytest.fixture
async def function(start):
    agent = start()
    caller = await agent.connect()
    await caller.claim(python(SOURCE))
    return agent, caller


async def test_output_stands_between_start_and_end(function):
    """stdout and stderr in the order they were written, all of it before END."""
    agent, caller = function
    await caller.invoke("mixed", request_id="m")
    lines = (await agent.text()).splitlines()
    begin, end = lines.index("START RequestId: m Version: $LATEST"), lines.index("END RequestId: m")
    assert lines[begin + 1 : end] == [f"{name} {i}" for i in range(50) for name in ("out", "err")]


async def test_a_megabyte_without_newline_passes_in_pieces(function):
    """Nothing is lost; each piece is an event of its own."""
    agent, caller = function
    await caller.invoke("big")
    pieces = [line for line in (await agent.text()).splitlines() if line.startswith("yyy")]
    assert sum(map(len, pieces)) == 1_000_000
    assert max(map(len, pieces)) == MAX_LINE_BYTES


async def test_bytes_pass_as_they_are(function):
    """Invalid UTF-8 and carriage returns are not ours to judge."""
    agent, caller = function
    await caller.invoke("bytes")
    await caller.invoke("carriage")
    log = await agent.written()
    assert b"\n\xff\xfe caf\xe9\n" in log
    assert b"\none\rtwo\n" in log


async def test_the_log_tail_is_the_last_four_kilobytes(function):
    """Exactly what the pod's log has, cut at 4,096 bytes."""
    agent, caller = function
    log = (await caller.invoke("tail", request_id="t", Lambent_Log_Type="Tail")).log
    whole = await agent.written()
    assert len(log) == 4096
    assert whole.endswith(log)


async def test_the_report_has_awss_format(function):
    """Every field ends with a tab; Init Duration last and only on the cold start."""
    agent, caller = function
    await caller.invoke(1, request_id="cold")
    await caller.invoke(1, request_id="warm")
    number = r"\d+\.\d\d"
    figures = rf"Duration: {number} ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\tMax Memory Used: \d+ MB\t"
    import re

    assert re.search(rf"^REPORT RequestId: cold\t{figures}Init Duration: {number} ms\t$", await agent.text(), re.M)
    assert re.search(rf"^REPORT RequestId: warm\t{figures}$", await agent.text(), re.M)

"""What is kept of an environment's log."""

from __future__ import annotations

import pytest

from lambent.cli.log_lines import OneRequest, Progress, parse, parse_all, readable


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2026-01-01T00:00:00.9Z", "2026-01-01T00:00:00.95Z"),
        ("2026-01-01T00:00:00.669794202Z", "2026-01-01T00:00:00.67Z"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000001Z"),
        ("2026-01-01T02:00:00.5+02:00", "2026-01-01T00:00:00.6Z"),
    ],
)
def test_moments_are_ordered_whatever_the_kubelet_left_out(earlier, later):
    """Go drops zeros at the end of a fraction, and a node may have a time zone."""
    assert parse("e", f"{earlier} a".encode()) < parse("e", f"{later} b".encode())


def test_a_line_without_a_stamp_belongs_to_the_one_before():
    """The rest of a very long line."""
    first, second = parse_all("e", [b"2026-01-01T00:00:01Z one", b"more of it"])
    assert (first.text, second.text) == (b"one", b"more of it")
    assert first.moment == second.moment > 0


def test_what_is_read_again_after_a_broken_connection_is_not_new():
    """From the same moment on; other lines of that moment are."""
    progress = Progress()
    lines = [
        parse("e", f"2026-01-01T00:00:0{second}Z {text}".encode())
        for second, text in [(1, "a"), (2, "b"), (2, "c"), (3, "d")]
    ]
    assert [progress.is_new(line) for line in lines[:2]] == [True, True]
    progress.resume()
    assert [progress.is_new(line) for line in lines] == [False, False, True, True]


def test_the_same_words_in_the_same_moment_are_two_lines():
    """A stream repeats nothing by itself."""
    progress, line = Progress(), parse("e", b"2026-01-01T00:00:01Z a")
    assert [progress.is_new(line), progress.is_new(line)] == [True, True]
    progress.resume()
    assert [progress.is_new(line) for _ in range(3)] == [False, False, True]


def test_a_requests_lines_are_those_from_start_to_report():
    """Of this id and no other; then it is complete."""
    log = [
        b"INIT_START", b"START RequestId: a Version: 1", b"x", b"END RequestId: a", b"REPORT RequestId: a\tDuration",
        b"START RequestId: b Version: 1", b"y", b"REPORT RequestId: a fake", b"END RequestId: b", b"REPORT RequestId: b\tD",
        b"START RequestId: b2 Version: 1",
    ]  # fmt: skip
    request = OneRequest("b")
    assert [line for line in log if request.keeps(line)] == log[5:10]
    assert request.is_complete
    assert not OneRequest("b").keeps(b"START RequestId: b2 Version: 1")


@pytest.mark.parametrize(
    ("text", "shown"),
    [(b"a\rb\rc", b"a\nb\nc"), (b"a\r", b"a"), (b"plain", b"plain"), (b"\xff\r\xfe", b"\xff\n\xfe")],
)
def test_a_traceback_is_lines_again(text, shown):
    """Python's runtime joined them with CR."""
    assert readable(text) == shown

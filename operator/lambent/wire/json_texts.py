r"""Is this JSON? Checked without building anything, and in slices, so that nobody waits for a large text.

`json`'s own scanner is quick, but it is one call, and it builds what it reads: six megabytes of `[[],[],…` stand
everything still for a second and take a hundred megabytes. Here regular expressions leap from bracket to bracket, and
whoever asks may do something else in between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

SLICE_BYTES = 64 * 1024
"""The work between two moments for something else: about a millisecond."""
DEPTH_MAX = 990
"""What `json` bears."""
_STEP_BYTES = 64
"""One step of the machine costs about what a run of so many bytes does."""

_SPACE = rb"[ \t\n\r]*+"
_STRING = rb'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"'
_NUMBER = rb"-?+(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?+[0-9]++)?+"
_ATOM = rb"(?:" + _NUMBER + rb"|true|false|null)"
_PLAIN = rb"(?:" + _STRING + rb"|" + _ATOM + rb")"


def _flat(value: bytes) -> bytes:
    """A value, or an object or array of values."""
    member = _SPACE + _STRING + _SPACE + rb":" + _SPACE + value + _SPACE
    item = _SPACE + value + _SPACE
    members = rb"\{(?:" + member + rb"(?:," + member + rb")*+|" + _SPACE + rb")\}"
    items = rb"\[(?:" + item + rb"(?:," + item + rb")*+|" + _SPACE + rb")\]"
    return rb"(?:" + value + rb"|" + members + rb"|" + items + rb")"


_ITEM_END = _SPACE + _flat(_PLAIN) + _SPACE
_NAME = _SPACE + _STRING + _SPACE + rb":"

_SPACES = re.compile(_SPACE)
_ONE_ATOM = re.compile(_ATOM)
_CHARACTERS = re.compile(rb'(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
_CONTROLS = [bytes([code]) for code in range(32)]
_QUOTE, _COMMA, _CLOSE = b'",]'
_OPEN = {ord("["): ord("]"), ord("{"): ord("}")}

_VALUE, _ITEM, _MEMBER, _AFTER = range(4)
# Each leap takes what it can of one container and ends with a comma or a bracket; or it takes nothing.
_LEAPS = [
    re.compile(pattern).match
    for pattern in (
        rb"(?:" + _SPACE + rb"[\[{])?+",
        rb"(?:" + _ITEM_END + rb",)*+(?:" + _SPACE + rb"[\[{]|" + _ITEM_END + rb"\])?+",
        rb"(?:" + _NAME + _ITEM_END + rb",)*+(?:" + _NAME + rb"(?:" + _SPACE + rb"[\[{]|" + _ITEM_END + rb"\}))?+",
        rb"(?:" + _SPACE + rb"[,\]}])?+",
    )
]


class NotJson(ValueError):
    """The text is not JSON; the message says where and why, as `json` words it."""


class _Walk:
    """One text on its way."""

    def __init__(self, text: bytes | bytearray) -> None:
        self.text = text
        self.place = 0
        self.state = _VALUE
        self.fresh = False
        """Right behind an opening bracket, where a closing one may follow."""
        self.open = bytearray()
        """The closing brackets that are owed."""

    def fail(self, message: str) -> NotJson:
        line = self.text.count(b"\n", 0, self.place) + 1
        column = self.place - self.text.rfind(b"\n", 0, self.place)
        return NotJson(f"{message}: line {line} column {column} (byte {self.place})")

    @property
    def ended(self) -> bool:
        """Whether the text may end here. Raises NotJson where it does and may not."""
        if self.place < len(self.text):
            return False
        if self.state == _AFTER and not self.open:
            return True
        raise self.fail("Expecting value" if self.state != _AFTER else "Expecting ',' delimiter")

    def rush(self) -> bool:
        """Leap from bracket to bracket. True when a slice's work is done, False where a closer look is needed."""
        text, place, state, owed, fresh, work = self.text, self.place, self.state, self.open, self.fresh, 0
        while work < SLICE_BYTES:
            end = _LEAPS[state](text, place, place + SLICE_BYTES).end()  # type: ignore[union-attr]  # or nothing
            if end == place:
                break
            code = text[end - 1]
            if code == _COMMA and owed:
                state, fresh = (_ITEM if owed[-1] == _CLOSE else _MEMBER), False
            elif code in _OPEN and len(owed) < DEPTH_MAX:
                owed.append(_OPEN[code])
                state, fresh = (_ITEM if _OPEN[code] == _CLOSE else _MEMBER), True
            elif owed and code == owed[-1]:
                owed.pop()
                state, fresh = _AFTER, False
            else:
                break
            work += end - place + _STEP_BYTES
            place = end
        self.place, self.state, self.fresh = place, state, fresh
        return work >= SLICE_BYTES

    def skip(self, stop: int) -> None:
        """Spaces."""
        match = _SPACES.match(self.text, self.place, stop)
        assert match is not None
        self.place = match.end()

    def step(self) -> Iterator[None]:
        """One token, which is no space. Strings and what is around a colon may be long."""
        code, state = self.text[self.place], self.state
        if state == _AFTER:
            self.after(code)
        elif self.fresh and code == self.open[-1]:
            self.close()
        elif state == _MEMBER:
            yield from self.name(code)
        elif code == _QUOTE:
            yield from self.string()
            self.state = _AFTER
        elif code in _OPEN:
            self.enter(code)
        else:
            match = _ONE_ATOM.match(self.text, self.place)
            if match is None:
                raise self.fail("Expecting value")
            self.place, self.state = match.end(), _AFTER

    def after(self, code: int) -> None:
        if not self.open:
            raise self.fail("Extra data")
        if code == self.open[-1]:
            self.close()
        elif code == _COMMA:
            self.move(_ITEM if self.open[-1] == _CLOSE else _MEMBER)
        else:
            raise self.fail("Expecting ',' delimiter")

    def close(self) -> None:
        self.open.pop()
        self.move(_AFTER)

    def enter(self, code: int) -> None:
        if len(self.open) >= DEPTH_MAX:
            raise self.fail("Document nesting depth exceeds the maximum allowed")
        self.open.append(_OPEN[code])
        self.move(_ITEM if _OPEN[code] == _CLOSE else _MEMBER)
        self.fresh = True

    def move(self, state: int) -> None:
        self.place, self.state, self.fresh = self.place + 1, state, False

    def name(self, code: int) -> Iterator[None]:
        """An object's key and its colon."""
        if code != _QUOTE:
            raise self.fail("Expecting property name enclosed in double quotes")
        yield from self.string()
        begin = -1
        while begin < self.place:
            begin = self.place
            self.skip(self.place + SLICE_BYTES)
            yield
        if self.text[self.place : self.place + 1] != b":":
            raise self.fail("Expecting ':' delimiter")
        self.move(_VALUE)

    def string(self) -> Iterator[None]:
        """A string of any length, in slices."""
        text = self.text
        self.place += 1
        while True:
            stop = self.place + SLICE_BYTES
            quote = text.find(b'"', self.place, stop)
            end = quote if quote >= 0 else min(stop, len(text))
            if text.find(b"\\", self.place, end) >= 0:
                match = _CHARACTERS.match(text, self.place, stop)
                assert match is not None
                end = match.end()
            elif any(text.find(control, self.place, end) >= 0 for control in _CONTROLS):
                raise self.fail("Invalid control character in a string")
            at = text[end : end + 1]
            if at != b'"' and end == self.place:
                raise self.fail("Invalid character or escape in a string" if at else "Unterminated string")
            self.place = end + (at == b'"')
            if at == b'"':
                return
            yield


def check(text: bytes | bytearray) -> Iterator[None]:
    """Check a text, known to be UTF-8; every yield is a good moment to do something else.

    Raises:
        NotJson: it is none.
    """
    walk, work = _Walk(text), 0
    while True:
        if walk.rush():
            yield
            continue
        begin = walk.place
        walk.skip(begin + SLICE_BYTES)
        if walk.ended:
            return
        if walk.place - begin < SLICE_BYTES // 2:  # else there may be more spaces
            for _ in walk.step():
                yield
        work += walk.place - begin + _STEP_BYTES
        if work >= SLICE_BYTES:
            work = 0
            yield

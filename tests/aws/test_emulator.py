"""Side by side with AWS's Runtime Interface Emulator: the same runtime, the same calls, the same answers.

What differs is in `DIFFERENCES`, each with its reason, and nothing else may: a difference that has gone fails too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.bench import emulator

from .cases import ENDS, INIT, OK, RUNTIME
from .sides import AgentSide, EmulatorSide, Seen, both

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "compatibility.md"
_KEPT = ("allow", "content-type")
_ID = re.compile(r"request-[0-9]+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

DIFFERENCES = {
    "a registration that is no JSON": "what is wrong with JSON is said in Python's words, not in Go's",
    "takes too long": "a timeout answers with Lambda's JSON instead of plain text",
}
"""Case → what docs/compatibility.md says of it."""


def plain(text: str) -> Any:
    """A body as JSON where it is JSON, so that the order of keys does not count; ids, which are random, as `<id>`."""
    text = _ID.sub("<id>", text)
    try:
        return json.loads(text)
    except ValueError:
        return text


def of_call(answer: dict) -> tuple[int, dict[str, str], Any]:
    """Of one call of the runtime, what is meant to be the same."""
    headers = {name: value for name, value in answer["headers"].items() if name in _KEPT}
    return answer["status"], headers, plain(answer["body"])


def of_event(seen: Seen) -> tuple[Any, list[tuple[int, dict[str, str], Any]]]:
    """The caller's answer, and all calls of the runtime."""
    return plain(seen.body), [of_call(answer) for answer in seen.answers]


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AgentSide, EmulatorSide]]:
    """Both, warm, for the cases that leave the runtime as it was."""
    try:
        emulator.binary()
    except emulator.NoEmulator as missing:
        pytest.skip(str(missing))
    with both(tmp_path_factory.mktemp("sides")) as started:
        yield started


@pytest.mark.parametrize("case", RUNTIME)
def test_a_runtime_is_answered_alike(sides, case):
    """Statuses, headers and bodies of every call, and what the caller gets."""
    ours, theirs = (of_event(side.perform({"calls": RUNTIME[case]})) for side in sides)
    assert ours == theirs


@pytest.mark.parametrize("case", INIT)
def test_before_the_first_event_a_runtime_is_answered_alike(tmp_path, sides, case):
    """The Extensions API as a runtime's own process sees it."""
    with both(tmp_path, {"calls": INIT[case]}) as started:
        for side in started:
            side.invoke_unanswered({"calls": [OK]})
        ours, theirs = ([of_call(answer) for answer in side.first_report()["answers"]] for side in started)
    if case not in DIFFERENCES:
        assert ours == theirs
        return
    assert ours != theirs, "the difference has gone"
    for answer in (*ours, *theirs):  # all but the words is the same
        answer[2].pop("errorMessage")
    assert ours == theirs


@pytest.mark.parametrize("case", ENDS)
def test_a_caller_hears_alike_of_a_runtime_that(tmp_path, sides, case):
    """Bodies only: the emulator tells its caller no more."""
    with both(tmp_path) as started:
        ours, theirs = (plain(side.invoke(ENDS[case])) for side in started)
        assert [side.invoke({"calls": [OK]}) for side in started] == ['"ok"', '"ok"'], "the next one works"
    assert (ours == theirs) is (case not in DIFFERENCES), (ours, theirs)


def test_an_event_has_the_same_headers(sides):
    """Ours has one more, which Lambda has begun to send: `Lambda-Runtime-Invocation-Id`."""
    ours, theirs = (side.perform({"calls": [OK]}).event.keys() - {"date"} for side in sides)
    assert ours - theirs == {"lambda-runtime-invocation-id"}
    assert not theirs - ours


@pytest.mark.parametrize("sentence", DIFFERENCES.values(), ids=DIFFERENCES)
def test_every_difference_is_documented(sentence):
    """In the words of this file."""
    assert sentence in " ".join(DOCUMENT.read_text(encoding="utf-8").split())

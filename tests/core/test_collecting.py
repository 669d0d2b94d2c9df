"""Nothing that is referred to is ever deleted; what is not referred to goes, eventually."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lambent.core.collecting import Decision, Needs, Policy, decide, digests_of
from lambent.model.functions import FunctionStatus

GRACE = 100.0
POLICY = Policy(GRACE, at_most=2)


@dataclass(frozen=True)
class Kept:
    digest: str
    age: float


OLD, OLDER, YOUNG = Kept("old", 500.0), Kept("older", 900.0), Kept("young", GRACE - 1)
LONG_AGO = 0.0
NOW = 1000.0


@pytest.mark.parametrize(
    ("expected", "blobs", "needs", "since"),
    {
        "old and long without a reference": (("old",), [OLD], Needs(set()), {"old": LONG_AGO}),
        "old, first seen without a reference": ((), [OLD], Needs(set()), {}),
        "old, without a reference for a moment": ((), [OLD], Needs(set()), {"old": NOW - GRACE + 1}),
        "exactly as old as the grace": (("b",), [Kept("b", GRACE)], Needs(set()), {"b": NOW - GRACE}),
        "put a moment ago": ((), [YOUNG], Needs(set()), {"young": LONG_AGO}),
        "referred to": ((), [OLD], Needs({"old"}), {"old": LONG_AGO}),
        "being stored": ((), [OLD], Needs(set(), {"old"}), {"old": LONG_AGO}),
        "some Function is unknown": ((), [OLD], Needs(set(), complete=False), {"old": LONG_AGO}),
        "no blobs": ((), [], Needs({"gone"}), {"gone": LONG_AGO}),
        "one of two": (("old",), [OLD, OLDER], Needs({"older"}), {"old": LONG_AGO, "older": LONG_AGO}),
        "at most so many, the longest unreferenced first": (
            ("older", "a"),
            [Kept("a", 900), OLD, OLDER],
            Needs(set()),
            {"a": 2.0, "old": 3.0, "older": 1.0},
        ),
    }.values(),
)
def test_what_goes(expected: tuple[str, ...], blobs: list[Kept], needs: Needs, since: dict[str, float]) -> None:
    assert decide(blobs, needs, since, NOW, POLICY).delete == expected


def test_a_reference_or_its_absence_is_what_is_remembered() -> None:
    """A blob that is referred to again begins anew, and so does everything while a Function is unknown."""
    since = {"old": 1.0, "older": 2.0}
    assert decide([OLD, OLDER], Needs({"old"}), since, NOW, POLICY).unreferenced == {"older": 2.0}
    assert decide([OLD], Needs(set()), {}, NOW, POLICY).unreferenced == {"old": NOW}
    assert decide([OLD], Needs(set(), complete=False), since, NOW, POLICY) == Decision((), {})


def test_references_are_read_from_statuses() -> None:
    raw = hashlib.sha256(b"code").digest()
    statuses = [
        FunctionStatus(code_sha256=base64.b64encode(raw).decode()),
        FunctionStatus(),
        FunctionStatus(code_sha256=raw.hex()),  # an image's
    ]
    assert digests_of(statuses) == {raw.hex()}


DIGESTS = st.sampled_from(["a", "b"])
NAMES = st.sampled_from(["f", "g"])
IN_FLIGHT_SECONDS = 20.0
"""No request is under way for as long as the grace period."""


class Histories(RuleBasedStateMachine):
    """Functions come, change and go; gateways upload; the controller restarts; deletions are slow.

    The store is a model: blobs and when they were put. `decide` is the real one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 10_000.0
        self.store: dict[str, float] = dict.fromkeys(("a", "b"), 0.0)
        self.functions: dict[str, str] = {}
        self.storing: dict[str, str] = {}
        self.stored: set[str] = set()
        self.uploaded: dict[str, float] = {}
        self.unknown: set[str] = set()
        self.memory: dict[str, float] = dict.fromkeys(("a", "b"), 0.0)
        """This story begins long after the controller's start: what nobody refers to may go at once."""
        self.listed: list[Kept] | None = None
        self.chosen: list[str] = []
        self.in_flight: list[str] = []

    @property
    def needs(self) -> Needs:
        known = {digest for name, digest in self.functions.items() if name not in self.unknown}
        return Needs(known, set(self.storing.values()), not self.unknown)

    # --- the controller stores code ---

    @rule(name=NAMES, digest=DIGESTS)
    def begin_to_store(self, name: str, digest: str) -> None:
        self.storing[name] = digest
        self.stored.discard(name)

    @precondition(lambda self: self.storing.keys() - self.stored)
    @rule()
    def put(self) -> None:
        """Always a put, also of what is there."""
        for name, digest in self.storing.items():
            self.store[digest] = self.now
            self.stored.add(name)

    @precondition(lambda self: self.stored)
    @rule()
    def write_status(self) -> None:
        while self.stored:
            name = self.stored.pop()
            self.functions[name] = self.storing.pop(name)

    @precondition(lambda self: self.functions or self.storing)
    @rule(name=NAMES)
    def delete_function(self, name: str) -> None:
        self.functions.pop(name, None)
        self.storing.pop(name, None)
        self.stored.discard(name)
        self.unknown.discard(name)

    # --- a gateway stores code, and then makes a Function ---

    @rule(digest=DIGESTS)
    def upload(self, digest: str) -> None:
        self.store[digest] = self.uploaded[digest] = self.now

    @precondition(lambda self: self.uploaded)
    @rule(name=NAMES, digest=DIGESTS)
    def create_from_upload(self, name: str, digest: str) -> None:
        if self.now - self.uploaded.get(digest, 0) < GRACE - IN_FLIGHT_SECONDS:
            self.functions[name] = digest
            self.storing.pop(name, None)
            self.stored.discard(name)

    # --- the controller restarts ---

    @precondition(lambda self: self.functions)
    @rule()
    def restart(self) -> None:
        self.memory, self.listed, self.chosen = {}, None, []
        self.storing, self.stored = {}, set()
        self.unknown = set(self.functions)

    @precondition(lambda self: self.unknown)
    @rule()
    def judge_one(self) -> None:
        self.unknown.pop()

    # --- a round, in steps ---

    @precondition(lambda self: self.listed is None and not self.chosen)
    @rule()
    def list_blobs(self) -> None:
        self.listed = [Kept(digest, self.now - put) for digest, put in self.store.items()]

    @precondition(lambda self: self.listed is not None)
    @rule()
    def choose(self) -> None:
        assert self.listed is not None
        decision = decide(self.listed, self.needs, self.memory, self.now, POLICY)
        self.memory, self.chosen, self.listed = dict(decision.unreferenced), list(decision.delete), None

    @precondition(lambda self: self.chosen)
    @rule()
    def send_deletion(self) -> None:
        digest = self.chosen.pop(0)
        if self.needs.allow(digest):
            self.in_flight.append(digest)

    @precondition(lambda self: self.in_flight)
    @rule()
    def carry_out_deletion(self) -> None:
        """The store's own condition, atomic with the deletion: tests/contracts/code."""
        digest = self.in_flight.pop(0)
        if self.now - self.store.get(digest, self.now) >= GRACE:
            del self.store[digest]

    @rule(seconds=st.sampled_from([IN_FLIGHT_SECONDS - 1, GRACE]))
    def wait(self, seconds: float) -> None:
        if seconds >= IN_FLIGHT_SECONDS:
            while self.in_flight:
                self.carry_out_deletion()
        self.now += seconds

    @invariant()
    def what_is_referred_to_is_there(self) -> None:
        assert set(self.functions.values()) <= set(self.store)

    def teardown(self) -> None:
        """In peace, what nobody refers to goes."""
        self.storing, self.stored, self.unknown = {}, set(), set()
        for _ in range(12):
            self.wait(GRACE)
            self.list_blobs()
            self.choose()
            while self.chosen:
                self.send_deletion()
        self.wait(GRACE)
        assert set(self.store) == set(self.functions.values())


Histories.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestHistories = Histories.TestCase

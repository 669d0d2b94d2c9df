"""What becomes of a request to publish, and which versions retention lets go?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.core import publishing, readiness
from lambent.core.publishing import Publish, Published, References, Unchanged
from lambent.core.readiness import Problem
from lambent.core.revisions import revision
from lambent.model.conditions import Reason
from lambent.model.function_configurations import FunctionConfiguration
from lambent.model.functions import FunctionObject
from lambent.model.versions import VersionSnapshot, VersionSpec, VersionStatus

ARN = "arn:aws:lambda:eu-test-1:123456789012:function:hello"
DIGEST = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
NOW = "2026-01-01T00:00:00Z"
REVISION = "0123456789abcdef"


def condition(kind, status="True", reason="Stored", message="as it is"):
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": NOW}


STORED = condition("CodeStored")
READY = condition("Ready", reason="Available")
GOOD = {
    "observedGeneration": 2,
    "codeSha256": DIGEST,
    "codeSize": 7,
    "revision": REVISION,
    "conditions": [READY, STORED],
}


def function(status=None, *, name="hello", uid="u", deleting=False, **spec):
    metadata = {"name": name, "namespace": "a", "uid": uid, "generation": 2}
    if deleting:
        metadata["deletionTimestamp"] = NOW
    return FunctionObject.from_kubernetes(
        {
            "metadata": metadata,
            "spec": {"runtime": "python3.11", "handler": "index.handler", "code": {"inline": "x"}, **spec},
            "status": {**GOOD, **(status or {})},
        }
    )


def published(number, revision="old", *, of="u", by="", name=None, referenced=False):
    return Published(number, of, revision, name or f"hello.{number}", f"uid-{name or number}", by, referenced)


def spec(**fields):
    return VersionSpec.model_validate({"functionName": "hello", **fields})


WAITS = {
    "no function": (None, Reason.FUNCTION_NOT_FOUND, f"Function not found: {ARN}"),
    "a function on its way out": (function(deleting=True), Reason.FUNCTION_NOT_FOUND, f"Function not found: {ARN}"),
    "a generation that is not prepared": (
        function({"observedGeneration": 1}),
        Reason.FUNCTION_NOT_READY,
        "hello cannot be published yet: its generation 2 is being prepared",
    ),
    "and why it is not": (
        function({"observedGeneration": 1, "conditions": [condition("Ready", "False", "ReferenceNotFound"), STORED]}),
        Reason.FUNCTION_NOT_READY,
        "hello cannot be published yet: its generation 2 is being prepared (ReferenceNotFound: as it is)",
    ),
    "what nobody looked at": (
        function({"observedGeneration": None, "conditions": []}),
        Reason.FUNCTION_NOT_READY,
        "hello cannot be published yet: its generation 2 is being prepared",
    ),
    "what can never work": (
        function({"conditions": [READY, STORED, condition("Stalled", reason="RuntimeNotInstalled")]}),
        Reason.FUNCTION_NOT_READY,
        "hello cannot be published yet: RuntimeNotInstalled: as it is",
    ),
    "code that is not there": (
        function({"conditions": [READY, condition("CodeStored", "False", "CodeUnavailable", "404")]}),
        Reason.FUNCTION_NOT_READY,
        "hello cannot be published yet: CodeUnavailable: 404",
    ),
    "what was never ready": (
        function({"revision": None}),
        Reason.FUNCTION_NOT_READY,
        "hello cannot be published yet: it was never ready",
    ),
}


@pytest.mark.parametrize(("of", "reason", "words"), WAITS.values(), ids=WAITS)
def test_publishing_waits_for(of, reason, words):
    assert publishing.judge(spec(), of, (), ARN) == Problem(reason, words)
    if of is not None:
        asked = of.model_copy(update={"spec": of.spec.model_copy(update={"publish": True})})
        assert not publishing.is_due(asked, None)


def test_a_function_whose_environments_cannot_be_is_published_all_the_same():
    """A quota of pods says nothing about what the function is."""
    unhealthy = function({"conditions": [condition("Ready", "False", "QuotaExceeded"), STORED]})
    assert isinstance(publishing.judge(spec(), unhealthy, (), ARN), Publish)


OTHER = "A" * 43 + "="
PRECONDITIONS = {
    "the same code": ({"codeSha256": DIGEST}, None),
    "the same revision": ({"revisionId": REVISION}, None),
    "both": ({"codeSha256": DIGEST, "revisionId": REVISION}, None),
    "other code": (
        {"codeSha256": OTHER, "revisionId": REVISION},
        f"CodeSHA256 ({OTHER}) is different from current CodeSHA256 in $LATEST ({DIGEST}). "
        "Please try again with the CodeSHA256 in $LATEST.",
    ),
    "another revision": (
        {"codeSha256": DIGEST, "revisionId": "f" * 16},
        "The Revision Id provided does not match the latest Revision Id. "
        "Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
    ),
}


@pytest.mark.parametrize(("given_spec", "words"), PRECONDITIONS.values(), ids=PRECONDITIONS)
def test_preconditions_are_judged_in_lambdas_words(given_spec, words):
    verdict = publishing.judge(spec(**given_spec), function(), (), ARN)
    if words is None:
        assert isinstance(verdict, Publish)
    else:
        assert verdict == Problem(Reason.PRECONDITION_FAILED, words)


VERDICTS = {
    "the first": ((), 0),
    "another revision than the newest": ((published(1), published(2)), 2),
    "one that was there before, but not as the newest": ((published(1, REVISION), published(2)), 2),
    "one that a namesake had": ((published(1, REVISION, of="gone"),), 1),
    "after a gap": ((published(9),), 9),
}


@pytest.mark.parametrize(("there", "floor"), VERDICTS.values(), ids=VERDICTS)
def test_what_is_new_gets_a_number_above_all_that_there_are(there, floor):
    verdict = publishing.judge(spec(), function(), there, ARN)
    assert isinstance(verdict, Publish)
    assert verdict.floor == floor


def test_what_equals_the_newest_is_that_one():
    """Whatever its description says."""
    newest = published(2, REVISION)
    there = (published(1), newest)
    assert publishing.judge(spec(description="new"), function(description="newer"), there, ARN) == Unchanged(newest)
    of = function(publish=True)
    assert not publishing.is_due(of, newest)
    assert publishing.is_due(of, published(1))
    assert publishing.is_due(of, None)
    assert not publishing.is_due(function(), None)


def test_of_two_objects_with_the_newest_number_either_says_what_it_is():
    assert publishing.newest_of(function(), (published(1), published(2, REVISION), published(2, REVISION))).number == 2


def test_a_snapshot_has_everything_that_a_configuration_has_and_nothing_else_of_the_function():
    """No code, no name, no tags; and it has the identity that the function had."""
    given = function(
        {
            "codeUnzippedSize": 70,
            "layers": [{"arn": "l", "codeSha256": DIGEST, "codeSize": 1, "codeUnzippedSize": 2}],
        },
        memorySize=512,
        timeout=9,
        description="mine",
        tags={"a": "b"},
        publish=True,
        environment={"variables": {"A": "1"}},
        placement={"nodeSelector": {"a": "b"}},
        layers=["libs:1"],
    )
    snapshot = publishing.snapshot_of(given, "")
    for name in FunctionConfiguration.model_fields:
        assert getattr(snapshot, name) == getattr(given.spec, name), name
    shown = snapshot.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert not {"code", "functionName", "tags", "publish"} & shown.keys()
    assert (snapshot.description, snapshot.code_size, snapshot.code_unzipped_size) == ("mine", 7, 70)
    assert snapshot.layers_in_use == given.status.layers
    assert revision(snapshot, "ab" * 32) == revision(given.spec, "ab" * 32)
    assert VersionSnapshot.model_validate(shown) == snapshot
    assert publishing.snapshot_of(given, "its own").description == "its own"


def test_an_object_of_publish_is_named_after_the_function_object_and_its_number():
    assert publishing.object_name(function(), 12) == "hello.12"
    long = publishing.object_name(function(name="a" * 253), 12)
    assert len(long) == 253
    assert long.endswith("a.12")
    assert publishing.object_name(function(name="a" * 249 + ".bcd"), 12) == "a" * 249 + ".12"


def test_whoever_waits_shows_progress_and_whoever_was_refused_needs_a_person():
    """As kstatus reads it; the same again changes nothing."""
    for reason, also in (
        (Reason.FUNCTION_NOT_FOUND, "Reconciling"),
        (Reason.FUNCTION_NOT_READY, "Reconciling"),
        (Reason.PUBLISHING_FAILED, "Reconciling"),
        (Reason.PRECONDITION_FAILED, "Stalled"),
        (Reason.INVALID_SPEC, "Stalled"),
    ):
        status = publishing.waiting_status(VersionStatus(), 1, Problem(reason, "why"), NOW)
        assert [(one.type, one.status) for one in status.conditions] == [("Ready", "False"), (also, "True")]
        later = publishing.waiting_status(status, 1, Problem(reason, "why"), "2027-01-01T00:00:00Z")
        assert readiness.same(status, later)


def test_a_failed_precondition_is_looked_at_afresh_once():
    """From then on the watch is early enough."""
    failed = Problem(Reason.PRECONDITION_FAILED, "no")
    assert publishing.needs_a_fresh_look(VersionStatus(), failed)
    assert not publishing.needs_a_fresh_look(publishing.waiting_status(VersionStatus(), 1, failed, NOW), failed)
    assert not publishing.needs_a_fresh_look(VersionStatus(), Problem(Reason.FUNCTION_NOT_READY, "no"))


# --- retention ------------------------------------------------------------------------------------------------------

MADE = [published(number, by="function") for number in range(1, 6)]
NOBODY = References({}, ())
RETAINED = {
    "without retention all stay": (None, MADE, NOBODY, []),
    "the newest stay": (2, MADE, NOBODY, [1, 2, 3]),
    "more than there are": (9, MADE, NOBODY, []),
    "what an alias refers to": (2, MADE, References({"1": ("live",)}, ()), [2, 3]),
    "what an alias names": (2, MADE, References({}, ("hello.2",)), [1, 3]),
    "what its status says is referred to": (
        2,
        [published(1, by="function", referenced=True), *MADE[1:]],
        NOBODY,
        [2, 3],
    ),
    "a person's own": (1, [published(1), published(2, by="cli"), published(3)], NOBODY, [2]),
    "another tool's": (1, [published(1, by="somebody"), published(2)], NOBODY, []),
    "a namesake's": (1, [published(1, of="gone", by="function"), *MADE[1:]], NOBODY, [2, 3, 4]),
    "objects of one number count once": (
        2,
        [published(1, by="cli"), published(2, by="cli"), published(3, by="cli"), published(3, by="cli", name="twin")],
        NOBODY,
        [1],
    ),
}


@pytest.mark.parametrize(("keep", "there", "references", "gone"), RETAINED.values(), ids=RETAINED)
def test_retention_lets_go(keep, there, references, gone):
    of = function(**({"versionRetention": {"keepLast": keep}} if keep else {}))
    assert [one.number for one in publishing.surplus(of, there, references)] == gone


entries = st.tuples(
    st.integers(1, 12), st.sampled_from(["", "function", "cli"]), st.booleans(), st.sampled_from(["u", "gone"])
)


@given(st.lists(entries, max_size=20), st.sets(st.integers(1, 12)), st.integers(1, 12))
def test_retention_never_deletes_what_is_referred_to_new_or_a_persons(found, referred, keep):
    """Judged by a model that counts in another way: how many numbers are above."""
    there = sorted(
        (
            published(number, of=of, by=by, name=f"o{place}", referenced=told)
            for place, (number, by, told, of) in enumerate(found)
        ),
        key=lambda one: one.number,
    )
    references = References({str(number): ("a",) for number in referred}, ())
    gone = publishing.surplus(function(versionRetention={"keepLast": keep}), there, references)
    for one in there:
        newer = {other.number for other in there if other.function_uid == "u" and other.number > one.number}
        free = one.number not in referred and not one.referenced
        expected = one.function_uid == "u" and one.published_by != "" and free and len(newer) >= keep
        assert (one in gone) == expected

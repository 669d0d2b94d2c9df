"""Versions as they come from the API server."""

from __future__ import annotations

import copy

import pytest
from pydantic import ValidationError

from lambent.model import names
from lambent.model.versions import VersionObject, VersionSpec, VersionStatus

SNAPSHOT = {
    "runtime": "python3.11",
    "handler": "index.handler",
    "codeSha256": "A" * 43 + "=",
    "codeSize": 142,
    "revision": "0123456789abcdef",
}
OWNER = {"apiVersion": names.API_VERSION, "kind": "Function", "name": "hello", "uid": "f-1", "controller": True}
BODY = {
    "apiVersion": names.API_VERSION,
    "kind": "Version",
    "metadata": {
        "name": "hello.7",
        "namespace": "shop",
        "uid": "v-1",
        "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "resourceVersion": "12",
    },
    "spec": {"functionName": "Hello"},
}


def body(**changes):
    changed = copy.deepcopy(BODY)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = changed
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return changed


def test_a_version_says_of_which_function_and_no_more():
    """All else is the controller's: Git cannot know it."""
    version = VersionObject.from_kubernetes(BODY)
    assert (version.name, version.namespace, version.uid, version.generation) == ("hello.7", "shop", "v-1", 1)
    assert (version.function_name, version.created) == ("Hello", "2026-01-01T00:00:00Z")
    assert (version.function_uid, version.number, version.by_function, version.deleting) == ("", None, False, False)
    assert version.spec == VersionSpec(function_name="Hello", description="", code_sha256=None, revision_id=None)
    assert version.status == VersionStatus()
    assert version.status.referenced_by == []


def test_a_version_has_a_number_once_it_has_its_snapshot():
    """A number that was only reserved can be invoked by nobody."""
    published = {"version": "7", "snapshot": SNAPSHOT, "functionUid": "f-1"}
    for field in published:
        without = {name: value for name, value in published.items() if name != field}
        assert VersionObject.from_kubernetes(body(status=without)).number is None
    assert VersionObject.from_kubernetes(body(status=published)).number == "7"


def test_a_snapshot_has_lambdas_defaults():
    """Also one that was taken before a default existed."""
    snapshot = VersionObject.from_kubernetes(body(status={"version": "7", "snapshot": SNAPSHOT})).status.snapshot
    assert (snapshot.package_type, snapshot.memory_size, snapshot.timeout) == ("Zip", 128, 3)
    assert (snapshot.architectures, snapshot.ephemeral_storage.size, snapshot.description) == (["x86_64"], 512, "")


@pytest.mark.parametrize(
    ("owners", "uid"),
    [
        ([], ""),
        ([OWNER], "f-1"),
        ([{**OWNER, "kind": "Layer", "uid": "l-1"}, OWNER], "f-1"),
        ([{**OWNER, "apiVersion": "example.com/v1"}], ""),
        (None, ""),
    ],
    ids=["none yet", "its function", "among others", "another's function", "null"],
)
def test_a_version_goes_with_the_function_that_owns_it(owners, uid):
    """The garbage collector's business: anybody may write an owner reference."""
    assert VersionObject.from_kubernetes(body(metadata__ownerReferences=owners)).owner_uid == uid


def test_a_version_belongs_to_the_function_it_was_published_of():
    """By uid: a function that is made again under its name has other versions."""
    assert VersionObject.from_kubernetes(body(metadata__ownerReferences=[OWNER])).function_uid == ""
    assert VersionObject.from_kubernetes(body(status__functionUid="f-2")).function_uid == "f-2"


@pytest.mark.parametrize(
    ("labels", "by_function"),
    [
        (None, False),
        ({names.LABEL_PUBLISHED_BY: names.PUBLISHED_BY_FUNCTION}, True),
        ({names.LABEL_PUBLISHED_BY: names.PUBLISHED_BY_CLI}, False),
    ],
    ids=["by hand", "by publish", "by the command line"],
)
def test_a_label_tells_who_made_it(labels, by_function):
    """Retention lets only those go that nobody wrote."""
    assert VersionObject.from_kubernetes(body(metadata__labels=labels)).by_function is by_function


def test_a_version_that_is_being_deleted_says_so():
    """The next object of the number takes over."""
    assert VersionObject.from_kubernetes(body(metadata__deletionTimestamp="2026-01-02T00:00:00Z")).deleting


def test_a_status_comes_back_as_it_was_written():
    """The controller compares what is there with what should be."""
    status = {
        "observedGeneration": 1,
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "observedGeneration": 1,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
                "reason": "Available",
                "message": "",
            }
        ],
        "version": "7",
        "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:Hello:7",
        "environments": 0,
        "referencedBy": ["live"],
        "publishedAt": "2026-01-01T00:00:00Z",
    }
    parsed = VersionObject.from_kubernetes(body(status=status)).status
    assert parsed.model_dump(by_alias=True, exclude_none=True) == status


@pytest.mark.parametrize(
    "changes",
    [
        {"spec": {}},
        {"spec__functionName": "hello.7"},
        {"spec__functionName": "h" * 65},
        {"spec__description": "d" * 257},
        {"spec__codeSha256": "abc"},
        {"spec__codeSha256": "A" * 64},
        {"spec__revisionId": "a b"},
        {"status__version": "0"},
        {"status__version": "07"},
        {"status__version": "$LATEST"},
        {"status__version": "1" * 19},
        {"status__snapshot": {}},
    ],
    ids=str,
)
def test_what_the_kind_does_not_allow_does_not_parse(changes):
    """A definition that is older than the process may have let it in."""
    with pytest.raises(ValidationError):
        VersionObject.from_kubernetes(body(**changes))


@pytest.mark.parametrize("sha256", ["A" * 43 + "=", "0123456789abcdef" * 4], ids=["a package's", "an image's"])
def test_a_code_digest_is_spelt_as_lambda_spells_it(sha256):
    """Base64 of an archive, hexadecimal of a container image."""
    assert VersionObject.from_kubernetes(body(spec__codeSha256=sha256)).spec.code_sha256 == sha256


def test_fields_of_a_later_release_are_ignored():
    """An older process must work while a newer definition is installed."""
    VersionObject.from_kubernetes(body(spec__publishTo="x", status__newer=1))

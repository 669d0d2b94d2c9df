"""What is to be done for one layer? Observations in, actions out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lambent.core import layers
from lambent.core.events import RecordEvent
from lambent.core.layers import Observation, ObtainContent, Publish, WriteStatus, plan
from lambent.core.readiness import Problem, StoredCode
from lambent.model.conditions import Reason
from lambent.model.layer_versions import LayerVersionObject
from lambent.model.layers import LayerObject, LayerStatus

NOW = "2026-01-01T00:00:00Z"
ARN = "arn:aws:lambda:eu-test-1:123456789012:layer:libs"
ONE = StoredCode("01" * 32, "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", 10, "s1", 100)
TWO = StoredCode("02" * 32, "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=", 20, "s2", 200)
AWAY = Problem(Reason.CODE_STORE_UNAVAILABLE, "away")
BROKEN = Problem(Reason.INVALID_CODE, "no zip")
ABSENT = Problem(Reason.REFERENCE_NOT_FOUND, "no such ConfigMap")


def layer(status: LayerStatus | None = None, *, generation: int = 1, deleting: bool = False, **spec: object):
    metadata = {"name": "libs", "namespace": "a", "uid": "u", "generation": generation}
    if deleting:
        metadata["deletionTimestamp"] = NOW
    body = {"metadata": metadata, "spec": {"content": {"zipFile": "UEsFBg=="}, **spec}}
    if status:
        body["status"] = status.model_dump(by_alias=True, mode="json", exclude_none=True)
    return LayerObject.from_kubernetes(body)


def seen(of: LayerObject | None = None, **fields: object) -> Observation:
    given = {"content": ONE, "versions": (), "older": None, "timestamp": NOW, **fields}
    return Observation(layer=of or layer(), region="eu-test-1", account="123456789012", **given)


def version(number: int, content: StoredCode, owner: str = "u", of: LayerObject | None = None) -> LayerVersionObject:
    publish = Publish(content, layers.revision(of or layer(), content), 0)
    body = layers.version_object(seen(of), publish, number)
    body["metadata"]["uid"] = f"uid-{number}"
    body["metadata"]["ownerReferences"][0]["uid"] = owner
    return LayerVersionObject.from_kubernetes(body)


def status_after(observation: Observation) -> LayerStatus:
    [status] = [action.status for action in plan(observation) if isinstance(action, WriteStatus)]
    return status


def published(number: int, content: StoredCode = ONE, **spec: object) -> LayerStatus:
    """The status of a layer whose newest version is this one."""
    of = layer(**spec)
    return status_after(seen(of, content=content, versions=(version(number, content, of=of),)))


def conditions(status: LayerStatus) -> dict[str, tuple[str, str]]:
    return {one.type: (one.status, one.reason) for one in status.conditions}


def test_the_content_comes_first():
    """Nothing can be said of a layer before."""
    assert plan(seen(content=None)) == (ObtainContent(),)


def test_stored_content_without_a_version_is_published():
    """The first number is above nothing."""
    assert plan(seen()) == (Publish(ONE, layers.revision(layer(), ONE), 0),)


def test_a_published_version_is_told_in_the_status():
    """With everything that a restarted controller needs, and an Event."""
    write, event = plan(seen(versions=(version(1, ONE),)))
    assert isinstance(write, WriteStatus)
    status = write.status
    assert (status.latest_version, status.latest_version_arn) == (1, f"{ARN}:1")
    assert (status.layer_arn, status.observed_generation, status.last_modified) == (ARN, 1, NOW)
    assert (status.code_sha256, status.code_size, status.code_unzipped_size) == (ONE.sha256_base64, 10, 100)
    assert status.code_source == "s1"
    assert conditions(status) == {"Ready": ("True", "Available"), "ContentStored": ("True", "Stored")}
    assert event == RecordEvent(False, Reason.LAYER_VERSION_PUBLISHED, f"published {ARN}:1")


def test_a_quiet_layer_is_left_alone():
    """No write, no version."""
    status = published(1)
    assert plan(seen(layer(status), versions=(version(1, ONE),))) == ()


METADATA = {
    "description": {"description": "other"},
    "licence": {"licenseInfo": "MIT"},
    "runtimes": {"compatibleRuntimes": ["python3.11"]},
    "architectures": {"compatibleArchitectures": ["arm64"]},
}


@pytest.mark.parametrize("change", METADATA.values(), ids=METADATA)
def test_other_metadata_is_another_version(change):
    """As PublishLayerVersion would make."""
    changed = layer(published(1), generation=2, **change)
    (action,) = plan(seen(changed, versions=(version(1, ONE),)))
    assert action == Publish(ONE, layers.revision(changed, ONE), 1)


def test_other_content_is_another_version():
    """Above the number of the newest."""
    changed = layer(published(4), generation=2)
    assert plan(seen(changed, content=TWO)) == (Publish(TWO, layers.revision(changed, TWO), 4),)


def test_the_order_of_runtimes_is_no_difference():
    """They are a set."""
    one, other = layer(compatibleRuntimes=["a1", "b2"]), layer(compatibleRuntimes=["b2", "a1"])
    assert layers.revision(one, ONE) == layers.revision(other, ONE)


def test_back_to_an_older_content_publishes_again():
    """What counts is the newest version."""
    changed = layer(published(2, TWO), generation=3)
    versions = (version(1, ONE), version(2, TWO))
    assert plan(seen(changed, content=ONE, versions=versions)) == (Publish(ONE, layers.revision(layer(), ONE), 2),)


def test_a_status_that_was_not_written_publishes_nothing_twice():
    """The version is there: it is told."""
    stale = layer(published(1), generation=2)
    status = status_after(seen(stale, content=TWO, versions=(version(1, ONE), version(2, TWO))))
    assert (status.latest_version, status.observed_generation) == (2, 2)


def test_a_stale_status_does_not_hide_a_newer_version():
    """It names the content of version 1, but version 2 with another content is there: going back is a new version."""
    stale = layer(published(1), generation=3)
    versions = (version(1, ONE), version(2, TWO))
    assert plan(seen(stale, content=ONE, versions=versions)) == (Publish(ONE, layers.revision(layer(), ONE), 2),)


def test_a_deleted_version_is_not_published_again():
    """DeleteLayerVersion of the newest leaves the layer as it is."""
    assert plan(seen(layer(published(1)))) == ()


def test_a_layer_made_anew_does_not_take_its_predecessors_versions_for_its_own():
    """They were left behind (`--cascade=orphan`); its own come with higher numbers."""
    left = (version(1, ONE, owner="another"), version(7, ONE, owner=""))
    assert plan(seen(versions=left)) == (Publish(ONE, layers.revision(layer(), ONE), 7),)


def test_a_layer_on_its_way_out_is_left_alone():
    """Its versions go with it."""
    assert plan(seen(layer(deleting=True), content=None)) == ()


PROBLEMS = {
    "broken content": ({"content": BROKEN}, "InvalidCode", True, False),
    "an older object of the name": ({"older": "first", "content": None}, "DuplicateLayerName", True, False),
    "a store that is away": ({"content": AWAY}, "CodeStoreUnavailable", False, True),
    "an absent ConfigMap": ({"content": ABSENT}, "ReferenceNotFound", False, False),
    "a refused version": (
        {"failure": Problem(Reason.PUBLISHING_FAILED, "exceeded quota")},
        "PublishingFailed",
        False,
        True,
    ),
}


@pytest.mark.parametrize(("fields", "reason", "stalled", "working"), PROBLEMS.values(), ids=PROBLEMS)
def test_what_stands_in_the_way_is_told(fields, reason, stalled, working):
    """Stalled when only a person can help; the version before stays the newest."""
    old = published(3)
    status = status_after(seen(layer(old, generation=2, description="new"), **fields))
    shown = conditions(status)
    assert shown["Ready"] == ("False", reason)
    assert ("Stalled" in shown, "Reconciling" in shown) == (stalled, working)
    assert status.latest_version == 3
    assert status.observed_generation == (2 if stalled else 1)


def test_a_problem_is_an_event_once():
    """Told when it comes, not while it stays."""
    write, event = plan(seen(content=BROKEN))
    assert event == RecordEvent(True, Reason.INVALID_CODE, "no zip")
    assert plan(seen(layer(write.status), content=BROKEN)) == ()


def test_a_refused_publication_is_not_tried_within_the_same_round():
    """The reconciler comes again after a while."""
    refused = Problem(Reason.PUBLISHING_FAILED, "no")
    assert not [action for action in plan(seen(failure=refused)) if isinstance(action, Publish)]


def test_a_version_object_says_what_the_layer_said():
    """Owned by its layer, named after it, with a label for selectors."""
    of = layer(layerName="Libs_1", description="d", licenseInfo="MIT", compatibleRuntimes=["python3.11"])
    body = layers.version_object(seen(of), Publish(ONE, "0123456789abcdef", 0), 5)
    assert body["metadata"]["name"] == "libs.5"
    assert body["metadata"]["labels"]["lambent.dev/layer-uid"] == "u"
    [owner] = body["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == ("u", True, True)
    assert body["spec"] == {
        "layerName": "Libs_1",
        "version": 5,
        "layerVersionArn": "arn:aws:lambda:eu-test-1:123456789012:layer:Libs_1:5",
        "codeSha256": ONE.sha256_base64,
        "codeSize": 10,
        "codeUnzippedSize": 100,
        "revision": "0123456789abcdef",
        "createdDate": NOW,
        "description": "d",
        "licenseInfo": "MIT",
        "compatibleRuntimes": ["python3.11"],
    }


def test_a_changed_account_changes_arns_and_publishes_nothing():
    """An administrator gave the namespace its id later."""
    observation = replace(seen(layer(published(1))), account="000000000001")
    status = status_after(observation)
    assert status.latest_version_arn == "arn:aws:lambda:eu-test-1:000000000001:layer:libs:1"

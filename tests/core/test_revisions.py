"""When do two states of a function mean the same?"""

import pytest

from lambent.core.references import Reference
from lambent.core.revisions import Shape, pod_revision, revision
from lambent.model.functions import FunctionSpec

CODE = "ab" * 32
SECRET = {"name": "PASSWORD", "secretKeyRef": {"name": "s", "key": "k"}}
BASE = {"runtime": "python3.11", "handler": "index.handler", "code": {"inline": "x"}}


def spec(**changes):
    return FunctionSpec.model_validate({**BASE, **changes})


PUBLISHES = {
    "another runtime": {"runtime": "python3.12"},
    "another handler": {"handler": "index.other"},
    "more memory": {"memorySize": 256},
    "another timeout": {"timeout": 10},
    "a variable": {"environment": {"variables": {"A": "1"}}},
    "another value": {"environment": {"variables": {"A": "2"}}},
    "a larger /tmp": {"ephemeralStorage": {"size": 1024}},
    "another architecture": {"architectures": ["arm64"]},
    "a role": {"role": "reader"},
    "a variable from a Secret": {"environment": {"valueFrom": [SECRET]}},
    "a variable from another key": {
        "environment": {"valueFrom": [{**SECRET, "secretKeyRef": {"name": "s", "key": "l"}}]}
    },
    "another ENTRYPOINT": {"imageConfig": {"entryPoint": ["/a"]}},
    "another CMD": {"imageConfig": {"command": ["/a"]}},
    "a JSON log": {"loggingConfig": {"logFormat": "JSON"}},
    "fewer lines": {"loggingConfig": {"logFormat": "JSON", "applicationLogLevel": "ERROR"}},
    "fewer lines of the platform": {"loggingConfig": {"logFormat": "JSON", "systemLogLevel": "WARN"}},
    "another log group": {"loggingConfig": {"logGroup": "/a/b"}},
    "traces": {"tracingConfig": {"mode": "Active"}},
    "a file system": {"fileSystemConfigs": [{"arn": "data", "localMountPath": "/mnt/a"}]},
    "another one": {"fileSystemConfigs": [{"arn": "other", "localMountPath": "/mnt/a"}]},
    "elsewhere": {"fileSystemConfigs": [{"arn": "data", "localMountPath": "/mnt/b"}]},
    "for reading": {"fileSystemConfigs": [{"arn": "data", "localMountPath": "/mnt/a", "readOnly": True}]},
    "/tmp in memory": {"ephemeralStorage": {"medium": "Memory"}},
}
SAME = {
    "a description": {"description": "alone publishes nothing"},
    "tags": {"tags": {"team": "a"}},
    "its name": {"functionName": "Other"},
    "placement": {"placement": {"nodeSelector": {"disk": "ssd"}}},
    "defaults said aloud": {"memorySize": 128, "timeout": 3, "packageType": "Zip", "ephemeralStorage": {"size": 512}},
    "a text log said aloud": {"loggingConfig": {"logFormat": "Text"}},
    "no traces said aloud": {"tracingConfig": {"mode": "PassThrough"}},
    "no file system said aloud": {"fileSystemConfigs": []},
    "/tmp on disk said aloud": {"ephemeralStorage": {"size": 512, "medium": "Disk"}},
    "no variables said aloud": {"environment": {"variables": {}}},
    "the same archive by other means": {"code": {"zipFile": "UEsFBg=="}},
}


def test_layers_are_part_of_a_publish_by_digest_and_order():
    """What they are called is not; without any, the digest is what it was before there were layers."""
    none, one, two = revision(spec(), CODE), revision(spec(), CODE, ["a", "b"]), revision(spec(), CODE, ["b", "a"])
    assert len({none, one, two}) == 3
    assert revision(spec(), CODE, []) == none
    assert revision(spec(layers=["libs:1"]), CODE, ["a", "b"]) == one


def test_revisions_are_sixteen_hex_digits():
    """Short enough for a label."""
    assert len(revision(spec(), CODE)) == 16
    int(revision(spec(), CODE), 16)


def test_revisions_are_the_same_in_every_release():
    """A new release must not restart every environment; who changes this changes it knowingly."""
    assert revision(spec(), CODE) == "963d09e14d6db10c"


@pytest.mark.parametrize("changes", PUBLISHES.values(), ids=PUBLISHES.keys())
def test_what_a_version_snapshots_makes_a_new_revision(changes):
    """Each of these is something else to publish."""
    assert revision(spec(**changes), CODE) != revision(spec(), CODE)


def test_every_difference_is_its_own():
    """No two of them are confused."""
    digests = {revision(spec(**changes), CODE) for changes in PUBLISHES.values()}
    assert len(digests) == len(PUBLISHES)


def test_levels_that_are_the_default_mean_nothing():
    """With JSON, INFO is what everybody gets who says nothing."""
    said = {"logFormat": "JSON", "applicationLogLevel": "INFO", "systemLogLevel": "INFO"}
    assert revision(spec(loggingConfig=said), CODE) == revision(spec(loggingConfig={"logFormat": "JSON"}), CODE)


def test_the_arn_of_a_file_system_is_another_spelling_of_its_claim():
    """An ARN and the bare name mean the same PersistentVolumeClaim."""
    arn = "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/data"
    one, two = ({"fileSystemConfigs": [{"arn": name, "localMountPath": "/mnt/a"}]} for name in ("data", arn))
    assert revision(spec(**one), CODE) == revision(spec(**two), CODE)


@pytest.mark.parametrize("changes", SAME.values(), ids=SAME.keys())
def test_what_is_not_part_of_a_version_does_not(changes):
    """Nothing new to publish."""
    assert revision(spec(**changes), CODE) == revision(spec(), CODE)


def test_other_code_is_another_revision():
    """The digest stands for the code."""
    assert revision(spec(), CODE) != revision(spec(), "cd" * 32)


def test_the_order_of_variables_means_nothing():
    """The digest is over canonical JSON."""
    one = spec(environment={"variables": {"A": "1", "B": "2"}})
    other = spec(environment={"variables": {"B": "2", "A": "1"}})
    assert revision(one, CODE) == revision(other, CODE)


def test_the_order_of_references_means_nothing():
    """valueFrom is a map by name."""
    other = {"name": "OTHER", "configMapKeyRef": {"name": "c", "key": "k"}}
    one, two = ({"environment": {"valueFrom": order}} for order in ([SECRET, other], [other, SECRET]))
    assert revision(spec(**one), CODE) == revision(spec(**two), CODE)


ONE = Shape("image:1")
REFERS = {"environment": {"valueFrom": [SECRET]}}
PODS = {
    "another image": ("r", "latest", Shape("image:2"), {}),
    "another agent": ("r", "latest", Shape("image:1", "agent:2"), {}),
    "another version": ("r", "3", ONE, {}),
    "another revision": ("s", "latest", ONE, {}),
    "placement": ("r", "latest", ONE, {"placement": {"nodeSelector": {"disk": "ssd"}}}),
    "a Secret in some state": ("r", "latest", Shape("image:1", versions={Reference("Secret", "s"): "1"}), REFERS),
    "the Secret in another": ("r", "latest", Shape("image:1", versions={Reference("Secret", "s"): "2"}), REFERS),
}


def test_every_pod_revision_is_its_own():
    """A changed Secret brings new environments."""
    assert len({pod_revision(*row[:3], spec(**row[3])) for row in PODS.values()}) == len(PODS)


def test_objects_that_are_not_referred_to_change_nothing():
    """The shape may know more than the function asks for."""
    shape = Shape("image:1", versions={Reference("Secret", "other"): "1"})
    assert pod_revision("r", "latest", shape, spec()) == pod_revision("r", "latest", ONE, spec())


def test_pod_revisions_are_the_same_in_every_release():
    """A new release must not restart every environment; who changes this changes it knowingly."""
    assert pod_revision("r", "latest", ONE, spec()) == "c155b08386d8e844"


@pytest.mark.parametrize("row", PODS.values(), ids=PODS.keys())
def test_what_shapes_a_pod_makes_new_environments(row):
    """Without anything new to publish."""
    assert pod_revision(*row[:3], spec(**row[3])) != pod_revision("r", "latest", ONE, spec())


def test_an_empty_placement_is_none():
    """Saying nothing in many words changes nothing."""
    empty = spec(placement={"tolerations": [], "nodeSelector": {}})
    assert pod_revision("r", "latest", ONE, empty) == pod_revision("r", "latest", ONE, spec())

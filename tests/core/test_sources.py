"""What makes a source another one, what a status tells of it, and who can help when it cannot be fetched."""

from __future__ import annotations

import base64

import pytest

from lambent.core import sources
from lambent.core.readiness import Problem, ResolvedImage, StoredCode
from lambent.core.references import Reference
from lambent.model.conditions import Reason
from lambent.model.errors import FetchFailed
from lambent.model.functions import FunctionSpec, FunctionStatus
from lambent.model.troubles import Trouble

S3 = {"s3Bucket": "bucket", "s3Key": "key"}
IMAGE = {"imageUri": "registry/image:tag"}


def spec(code: dict[str, object], **fields: object) -> FunctionSpec:
    whole = {"code": code, **({} if "imageUri" in code else {"runtime": "python3.11", "handler": "index.handler"})}
    return FunctionSpec.model_validate(whole | fields)


SAME = {
    "memory": (spec(S3), spec(S3, memorySize=512)),
    "environment": (spec(S3), spec(S3, environment={"variables": {"NAME": "value"}})),
    "handler": (spec(S3), spec(S3, handler="other.handler")),
    "pull secrets of what is no image": (spec(S3), spec(S3, placement={"imagePullSecrets": ["a"]})),
}
OTHER = {
    "key": (spec(S3), spec(S3 | {"s3Key": "other"})),
    "version": (spec(S3), spec(S3 | {"s3ObjectVersion": "2"})),
    "credentials": (spec(S3), spec(S3 | {"s3CredentialsSecretRef": {"name": "a"}})),
    "runtime, which names inline files": (spec({"inline": "x"}), spec({"inline": "x"}, runtime="nodejs22.x")),
    "architecture, which chooses an image": (spec(IMAGE), spec(IMAGE, architectures=["arm64"])),
    "pull secrets": (spec(IMAGE), spec(IMAGE, placement={"imagePullSecrets": ["a"]})),
}


@pytest.mark.parametrize(("before", "after"), SAME.values(), ids=SAME)
def test_what_decides_nothing_changes_no_source(before: FunctionSpec, after: FunctionSpec) -> None:
    """A change of memory fetches nothing."""
    assert sources.identity(before, {}) == sources.identity(after, {})


@pytest.mark.parametrize(("before", "after"), OTHER.values(), ids=OTHER)
def test_what_decides_makes_another_source(before: FunctionSpec, after: FunctionSpec) -> None:
    """Each of them may bring other code."""
    assert sources.identity(before, {}) != sources.identity(after, {})


def test_a_config_map_is_a_source_in_its_version() -> None:
    """A change of it is a change of the code; another object's is none."""
    held = spec({"configMapRef": {"name": "code"}})
    mine, other = Reference("ConfigMap", "code"), Reference("Secret", "code")
    first = sources.identity(held, {mine: "1"})
    assert sources.identity(held, {mine: "1", other: "5"}) == first
    assert sources.identity(held, {mine: "2"}) != first != sources.identity(held, {})


class TestWhatAStatusTells:
    DIGEST = bytes(range(32))

    def test_is_the_stored_code(self) -> None:
        """Nothing else is needed to go on after a restart."""
        text = base64.b64encode(self.DIGEST).decode()
        status = FunctionStatus(code_source="s", code_sha256=text, code_size=7)
        assert sources.known(status, "s") == StoredCode(self.DIGEST.hex(), text, 7, "s")

    def test_is_the_resolved_image(self) -> None:
        """The tag is not resolved again: that is a rule of Lambda."""
        image = ResolvedImage("r/i@sha256:1", "1" * 64, 7, ("/e",), ("c",), "/w", "s")
        status = FunctionStatus.model_validate(
            {
                "codeSource": "s",
                "codeSha256": "1" * 64,
                "codeSize": 7,
                "image": {
                    "resolvedUri": "r/i@sha256:1",
                    "entryPoint": ["/e"],
                    "command": ["c"],
                    "workingDirectory": "/w",
                },
            }
        )
        assert sources.known(status, "s") == image

    @pytest.mark.parametrize(
        "status",
        [
            FunctionStatus(),
            FunctionStatus(code_source="other", code_sha256="AAAA"),
            FunctionStatus(code_source="s"),
            FunctionStatus(code_source="s", code_sha256="no base64"),
            FunctionStatus(code_source="s", code_sha256="AAAA"),
        ],
    )
    def test_is_nothing_when_it_tells_of_another_source_or_makes_no_sense(self, status: FunctionStatus) -> None:
        """Then the code is obtained again."""
        assert sources.known(status, "s") is None


FINAL = {
    Trouble.REFUSED,
    Trouble.MALFORMED,
    Trouble.REDIRECTED,
    Trouble.REJECTED,
    Trouble.WRONG_DIGEST,
    Trouble.TOO_LARGE,
    Trouble.ENCODED,
}


@pytest.mark.parametrize("trouble", Trouble)
def test_every_trouble_is_either_final_or_tried_again(trouble: Trouble) -> None:
    """Final is what only another specification can mend."""
    expected = Reason.INVALID_CODE if trouble in FINAL else Reason.CODE_UNAVAILABLE
    assert sources.problem_of(FetchFailed(trouble, "words")) == Problem(expected, "words")


def test_somebody_elses_server_is_asked_less_and_less_often() -> None:
    """But never less than every two minutes: somebody may be waiting for a thing that he has just uploaded."""
    assert [sources.again_after(failures) for failures in (1, 2, 3, 7, 8, 1000)] == [2, 4, 8, 120, 120, 120]


def test_a_tag_is_resolved_anew_with_every_change_of_the_specification():
    """As Lambda does at create and update; a digest says it once and for all, and no other code is obtained again."""
    tagged, pinned = (
        FunctionSpec.model_validate({"packageType": "Image", "code": {"imageUri": uri}})
        for uri in ("registry/app:1", f"registry/app@sha256:{'0' * 64}")
    )
    assert sources.identity(tagged, {}, 1) != sources.identity(tagged, {}, 2)
    assert sources.identity(pinned, {}, 1) == sources.identity(pinned, {}, 2)
    inline = FunctionSpec.model_validate({"runtime": "r", "handler": "h", "code": {"s3Bucket": "abc", "s3Key": "k"}})
    assert sources.identity(inline, {}, 1) == sources.identity(inline, {}, 2)


def test_an_artifacts_tag_is_resolved_anew_too() -> None:
    """And its pull secrets are part of the source, where the registry is asked."""
    base = {"runtime": "r", "handler": "h"}
    tagged, pinned, other = (
        FunctionSpec.model_validate({**base, "code": {"artifactUri": uri}, **more})
        for uri, more in (
            ("registry/code:1", {}),
            (f"registry/code@sha256:{'0' * 64}", {}),
            (f"registry/code@sha256:{'0' * 64}", {"placement": {"imagePullSecrets": ["a"]}}),
        )
    )
    assert sources.identity(tagged, {}, 1) != sources.identity(tagged, {}, 2)
    assert sources.identity(pinned, {}, 1) == sources.identity(pinned, {}, 2) != sources.identity(other, {}, 1)

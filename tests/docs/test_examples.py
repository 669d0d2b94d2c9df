"""What stands in examples/ is what the kinds take."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lambent.model import names
from lambent.model.aliases import AliasObject
from lambent.tools import crds

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
OURS = {model.__name__: model for model in crds.KINDS}
BODIES = [
    (path, body)
    for path in sorted(EXAMPLES.glob("**/*.yaml"))
    for body in yaml.safe_load_all(path.read_text())
    if body.get("apiVersion") == names.API_VERSION
]


def specs(kind):
    return [pytest.param(path, body, id=named(path, body)) for path, body in BODIES if body["kind"] == kind]


def named(path, body):
    return f"{path.relative_to(EXAMPLES).parent}:{body['metadata']['name']}"


def test_every_kind_that_people_write_but_layers_has_an_example():
    """The pattern that finds them finds some."""
    assert {body["kind"] for _, body in BODIES} >= {"Function", "Version", "Alias"}
    assert {path.parent.name for path, _ in BODIES} >= {"hello", "files", "versions", "base"}


@pytest.mark.parametrize(("path", "body"), [one for kind in OURS for one in specs(kind)])
def test_an_example_is_what_its_kind_takes(path, body):
    """Field by field, without one that the kind does not know."""
    spec = OURS[body["kind"]].model_fields["spec"].annotation
    spec.model_validate(body["spec"], extra="forbid")


@pytest.mark.parametrize(("path", "body"), specs("Function"))
def test_inline_code_of_an_example_is_python(path, body):
    """And the entries of ConfigMaps beside it, as far as they are."""
    spec = body["spec"]
    if spec.get("runtime", "").startswith("python"):
        compile(spec["code"].get("inline", ""), str(path), "exec")
        for file in path.parent.glob("*.py"):
            compile(file.read_text(), str(file), "exec")


@pytest.mark.parametrize(("path", "body"), specs("Alias"))
def test_an_alias_points_to_what_is_beside_it(path, body):
    """The function, its hooks, and the Version if one is named."""
    beside = {(one["kind"], one["metadata"]["name"]) for place, one in BODIES if place.parent == path.parent}
    metadata = {"namespace": "a", "uid": "u", **body["metadata"]}
    spec = AliasObject.from_kubernetes({**body, "metadata": metadata}).spec
    hooks = spec.rollout.hooks if spec.rollout else None
    asked = [hook.function_name for hook in (hooks and (hooks.pre_traffic, hooks.post_traffic)) or () if hook]
    assert {("Function", name) for name in (spec.function_name, *asked)} <= beside
    assert spec.version_ref is None or ("Version", spec.version_ref.name) in beside

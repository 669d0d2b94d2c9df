"""Our statuses by the rules of kstatus, which Flux's kustomize-controller and other tools wait with."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.gitops.situations import SITUATIONS, SPECS, Situation, object_of

PROGRAM = Path(__file__).parent / "kstatus"


def kstatus(body: dict[str, Any]) -> str:
    """The documented rules for custom resources, in their order: deletion, generation, conditions, else current."""
    metadata, status = body["metadata"], body.get("status", {})
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    if status.get("observedGeneration", metadata["generation"]) != metadata["generation"]:
        return "InProgress"
    for condition in status.get("conditions", []):
        verdict = {"Reconciling": "InProgress", "Stalled": "Failed"}.get(condition["type"])
        if verdict and condition["status"] == "True":
            return verdict
    ready = next((one["status"] for one in status.get("conditions", []) if one["type"] == "Ready"), "True")
    return "Current" if ready == "True" else "InProgress"


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
def test_kstatus_sees_what_is_the_case(situation: Situation) -> None:
    """Current, InProgress, Failed or Terminating."""
    assert kstatus(situation.body) == situation.kstatus


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Kstatus itself."""
    if shutil.which("go") is None:
        pytest.skip("kstatus is a Go library, and there is no Go")
    built = tmp_path_factory.mktemp("kstatus") / "kstatus"
    subprocess.run(["go", "build", "-o", built, "."], cwd=PROGRAM, check=True, timeout=280)
    yield [str(built)]


def test_kstatus_itself_says_the_same(program: list[str]) -> None:
    """The library of kubernetes-sigs/cli-utils, for every situation."""
    bodies = {name: situation.body for name, situation in SITUATIONS.items()}
    assert judged(program, bodies) == {name: situation.kstatus for name, situation in SITUATIONS.items()}


def test_without_the_definitions_default_a_new_object_would_be_current(program: list[str]) -> None:
    """Whoever waits would go on before the controller has seen it: this is why there is the default."""
    bodies = {kind: object_of(kind) for kind in SPECS}
    assert judged(program, bodies) == dict.fromkeys(SPECS, "Current") == {one: kstatus(bodies[one]) for one in SPECS}


def judged(program: list[str], bodies: dict[str, dict[str, Any]]) -> dict[str, str]:
    """What kstatus itself makes of objects."""
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(bodies.values())})
    told = subprocess.run(program, input=listed, capture_output=True, text=True, check=True).stdout.split()
    return dict(zip(bodies, told, strict=True))


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
def test_reconciling_and_stalled_are_there_only_while_true_and_never_both(situation: Situation) -> None:
    """kstatus takes whichever comes first in the list."""
    conditions = {one["type"]: one["status"] for one in situation.body["status"].get("conditions", [])}
    told = [conditions[name] for name in ("Reconciling", "Stalled") if name in conditions]
    assert told in ([], ["True"])
    assert told == [] or conditions["Ready"] != "True"

"""Health checks and actions for Argo CD: its own Lua runs them here, with no more libraries than it has there."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from lupa import lua51
from tests.gitops.situations import SITUATIONS, Situation, alias, object_of, rollout, stuck, waits

from lambent.model import names
from lambent.model.conditions import Reason
from lambent.tools import argocd, crds

SANDBOX = """
for _, name in ipairs({"string", "math", "io", "os", "debug", "coroutine", "python", "require", "load", "dofile"}) do
  if name == "string" then getmetatable("").__index = nil end
  _G[name] = nil
end
"""
"""Argo CD opens base, table, package and a part of os; strings have no methods."""
KINDS = sorted(path.parent.name for path in argocd.FOLDER.glob("health/*/health.lua"))
ACTIONS = argocd.FOLDER / "actions" / "Alias"


def run(script: str, body: dict[str, Any]) -> Any:
    """What a script returns for an object."""
    lua = lua51.LuaRuntime(unpack_returned_tuples=True, register_eval=False, register_builtins=False)
    lua.globals().obj = lua.table_from(copy.deepcopy(body), recursive=True)
    lua.execute(SANDBOX)
    return plain(lua.execute(script))


def plain(value: Any) -> Any:
    """Tables as JSON has them; as for Argo CD, an empty one is a list."""
    if lua51.lua_type(value) != "table":
        return value
    entries = {key: plain(entry) for key, entry in value.items()}
    return list(entries.values()) if list(entries) == list(range(1, len(entries) + 1)) else entries


def health(kind: str, body: dict[str, Any]) -> dict[str, str]:
    return run((argocd.FOLDER / "health" / kind / "health.lua").read_text(), body)


def discovered(body: dict[str, Any]) -> set[str]:
    """Actions that Argo CD offers."""
    offered = run((ACTIONS / "discovery.lua").read_text(), body)
    return {name for name, action in offered.items() if not action["disabled"]}


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
def test_argo_cd_sees_what_is_the_case(situation: Situation) -> None:
    """Healthy, Progressing, Degraded or Suspended, with the words of the Ready condition."""
    found = health(situation.body["kind"], situation.body)
    assert found["status"] == situation.argo
    if situation.message:
        assert found["message"] == situation.message


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [None, {}, {"observedGeneration": 4}, {"conditions": []}], ids=str)
def test_what_the_controller_has_not_seen_is_progressing(kind: str, status: dict[str, Any] | None) -> None:
    """An application is not healthy because nobody looked."""
    body = object_of(kind)
    if status is not None:
        body["status"] = status
    assert health(kind, body) == {"status": "Progressing", "message": "waiting for the controller"}


GOOD = {name: situation for name, situation in SITUATIONS.items() if situation.argo == "Healthy"}


@pytest.mark.parametrize("situation", GOOD.values(), ids=GOOD)
def test_a_changed_specification_is_progressing_until_it_was_seen(situation: Situation) -> None:
    """Whatever was said of the one before."""
    body = copy.deepcopy(situation.body)
    body["metadata"]["generation"] += 1
    assert health(body["kind"], body) == {"status": "Progressing", "message": "waiting for the controller"}


@pytest.mark.parametrize("situation", GOOD.values(), ids=GOOD)
def test_what_is_being_worked_on_is_progressing_though_it_is_ready(situation: Situation) -> None:
    """As to kstatus."""
    body = copy.deepcopy(situation.body)
    body["status"]["conditions"].append({"type": "Reconciling", "status": "True", "reason": "Progressing"})
    assert health(body["kind"], body)["status"] == "Progressing"


def test_words_about_an_older_specification_are_not_shown() -> None:
    """They would be read as being about the new one."""
    body = copy.deepcopy(SITUATIONS["Function: its code is broken"].body)
    body["metadata"]["generation"] += 1
    assert health("Function", body) == {"status": "Progressing", "message": "waiting for the controller"}


def test_every_kind_that_has_conditions_has_a_check() -> None:
    """Without one Argo CD takes an object for healthy as soon as it exists."""
    models = {model.__name__: model for model in crds.KINDS}
    assert KINDS == sorted(kind for kind, model in models.items() if "status" in model.model_fields)


GOING = alias(*waits(Reason.ROLLOUT_IN_PROGRESS), rollout=rollout())
ENDED = alias(*stuck(Reason.ROLLED_BACK), rollout=rollout("RolledBack", ended=True))
OFFERED = {
    "before the first rollout": (object_of("Alias"), set()),
    "while the traffic moves": (GOING, {"pause", "promote", "abort"}),
    "after it": (ENDED, set()),
}


@pytest.mark.parametrize(("body", "offered"), OFFERED.values(), ids=OFFERED)
def test_actions_are_offered_when_they_would_do_something(body: dict[str, Any], offered: set[str]) -> None:
    """The controller answers the others with an Event only."""
    assert discovered(body) == offered


def test_a_paused_rollout_can_be_resumed_promoted_or_aborted() -> None:
    """Also when the pause outlives the rollout: then it can be taken away."""
    for body, offered in ((GOING, {"resume", "promote", "abort"}), (ENDED, {"resume"})):
        paused = copy.deepcopy(body)
        paused["metadata"]["annotations"] = {names.ANNOTATION_ROLLOUT: names.ROLLOUT_PAUSE}
        assert discovered(paused) == offered


@pytest.mark.parametrize("request_", names.ROLLOUT_REQUESTS)
@pytest.mark.parametrize("others", [None, {"team": "shop"}], ids=str)
def test_an_action_asks_by_annotation(request_: str, others: dict[str, str] | None) -> None:
    """And changes nothing else."""
    body = copy.deepcopy(GOING)
    if others is not None:
        body["metadata"]["annotations"] = dict(others)
    changed = run((ACTIONS / request_ / "action.lua").read_text(), body)
    assert changed["metadata"].pop("annotations") == {**(others or {}), names.ANNOTATION_ROLLOUT: request_}
    body["metadata"].pop("annotations", None)
    assert without_empty(changed) == without_empty(body)


@pytest.mark.parametrize("others", [{}, {"team": "shop"}], ids=str)
def test_resuming_takes_the_annotation_away(others: dict[str, str]) -> None:
    """Also when it is the only one."""
    body = copy.deepcopy(GOING)
    body["metadata"]["annotations"] = {**others, names.ANNOTATION_ROLLOUT: names.ROLLOUT_PAUSE}
    changed = run((ACTIONS / "resume" / "action.lua").read_text(), body)
    assert changed["metadata"].get("annotations", {}) == others
    assert "annotations" in changed["metadata"] or not others


def without_empty(value: Any) -> Any:
    """Lua does not tell an empty object from an empty list; Argo CD puts back what it was."""
    if isinstance(value, dict):
        return {key: without_empty(entry) for key, entry in value.items() if entry not in ({}, [])}
    return [without_empty(entry) for entry in value] if isinstance(value, list) else value


def test_the_patch_holds_every_script() -> None:
    """What stands in argocd-cm is what was tested; it is generated."""
    for path, text in argocd.patches().items():
        assert path.read_text() == text, f"{path.name}: run `make generate`"
    data = yaml.safe_load(argocd.PATCH.read_text())["data"]
    for kind in KINDS:
        script = argocd.FOLDER / "health" / kind / "health.lua"
        assert data.pop(f"resource.customizations.health.{names.GROUP}_{kind}") == script.read_text()
    actions = yaml.safe_load(data.pop(f"resource.customizations.actions.{names.GROUP}_Alias"))
    assert actions["discovery.lua"] == (ACTIONS / "discovery.lua").read_text()
    assert {one["name"]: one["action.lua"] for one in actions["definitions"]} == {
        script.parent.name: script.read_text() for script in ACTIONS.glob("*/action.lua")
    }
    assert data == {}


def test_every_action_that_is_offered_is_there() -> None:
    """Argo CD looks for a definition of the name."""
    offered = run((ACTIONS / "discovery.lua").read_text(), object_of("Alias"))
    assert set(offered) == {path.parent.name for path in Path(ACTIONS).glob("*/action.lua")}

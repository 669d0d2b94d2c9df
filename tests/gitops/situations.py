"""What GitOps tools find in the cluster: objects of our kinds in every situation, and what each of them is.

Statuses come from the code that writes them, or at least from the models: their fields cannot drift.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from lambent.core import layers, readiness
from lambent.core.readiness import Findings, Problem, Revisions, StoredCode
from lambent.model import names
from lambent.model.alias_statuses import AliasStatus, RolloutStatus, Routing
from lambent.model.conditions import Condition, ConditionType, Reason
from lambent.model.fields import Fields
from lambent.model.functions import FunctionObject
from lambent.model.layers import LayerObject
from lambent.model.rollouts import STRATEGIES, RolloutStep
from lambent.model.versions import VersionStatus
from lambent.tools import crds

NOW = "2026-01-01T00:00:00Z"
ARN = "arn:aws:lambda:eu-test-1:123456789012:function:hello"
CODE = StoredCode("ab" * 32, "q6ur", 142)
GENERATION = 4
READY, RECONCILING, STALLED = ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED
HEALTHY, ACTIVE = ConditionType.ENVIRONMENTS_HEALTHY, ConditionType.ACTIVE

SPECS: dict[str, dict[str, Any]] = {
    "Function": {"runtime": "python3.11", "handler": "index.handler", "code": {"inline": "x"}},
    "Layer": {"content": {"zipFile": "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="}},
    "Version": {"functionName": "hello"},
    "Alias": {"functionName": "hello", "latestPublished": True, "rollout": {"strategy": "AllAtOnce"}},
}
NAMES = {"Function": "hello", "Layer": "libs", "Version": "hello.7", "Alias": "hello.live"}


class Situation(NamedTuple):
    """An object, and what kstatus (Flux, `kubectl wait`) and Argo CD make of it."""

    body: dict[str, Any]
    kstatus: str
    argo: str
    message: str = ""
    """What Argo CD shows with it, where that matters."""


def object_of(kind: str, status: Fields | None = None, generation: int = GENERATION, **metadata: Any) -> dict[str, Any]:
    """As the API server has it."""
    body: dict[str, Any] = {
        "apiVersion": names.API_VERSION,
        "kind": kind,
        "metadata": {
            "name": NAMES[kind],
            "namespace": "shop",
            "uid": "u",
            "generation": generation,
            "creationTimestamp": NOW,
            **metadata,
        },
        "spec": SPECS[kind],
    }
    if status is not None:
        body["status"] = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return body


def function(findings: Findings, *, before: int | None = None, **metadata: Any) -> dict[str, Any]:
    """A Function whose status the controller wrote; `before` is the generation that it had judged before."""
    found = object_of("Function")
    if before is not None:
        found["status"] = {"observedGeneration": before}
    status = readiness.status_of(FunctionObject.from_kubernetes(found), findings, NOW)
    return object_of("Function", status, **metadata)


def layer(content: StoredCode | Problem, older: str | None = None) -> dict[str, Any]:
    """A Layer whose status the controller wrote, after the version was published when there is content."""
    seen = layers.Observation(
        layer=LayerObject.from_kubernetes(object_of("Layer")),
        region="eu-test-1",
        account="123456789012",
        older=older,
        content=content,
        versions=(),
        timestamp=NOW,
    )
    (step, *_) = layers.plan(seen)
    if isinstance(step, layers.Publish):
        published = {"latestVersion": 1, "revision": step.revision}
        again = LayerObject.from_kubernetes({**object_of("Layer"), "status": published})
        (step, *_) = layers.plan(layers.Observation(**{**_fields(seen), "layer": again}))
    assert isinstance(step, layers.WriteStatus)
    return object_of("Layer", step.status)


def _fields(seen: layers.Observation) -> dict[str, Any]:
    return {name: getattr(seen, name) for name in seen.__slots__}


def version(*conditions: Condition, **status: Any) -> dict[str, Any]:
    """A Version; nobody changes its specification, so its generation is 1."""
    shown = readiness.stamped(conditions, (), 1, NOW)
    return object_of("Version", VersionStatus(observed_generation=1, conditions=shown, **status), generation=1)


def alias(*conditions: Condition, observed: int = GENERATION, **status: Any) -> dict[str, Any]:
    """An Alias with these conditions."""
    shown = readiness.stamped(conditions, (), observed, NOW)
    return object_of("Alias", AliasStatus(observed_generation=observed, conditions=shown, **status))


def rollout(phase: str = "AllowTraffic", *, ended: bool = False, **fields: Any) -> RolloutStatus:
    """A rollout from version 6 to version 7."""
    strategy = "LambdaCanary10Percent5Minutes"
    return RolloutStatus(
        deployment_id="d-ABCDEFGH1",
        from_version="6",
        to_version="7",
        generation=GENERATION,
        strategy=strategy,
        steps=[RolloutStep(percentage=percent, seconds=seconds) for percent, seconds in STRATEGIES[strategy]],
        phase=phase,
        step=1,
        started_at=NOW,
        finished_at=NOW if ended else None,
        **fields,
    )


def yes(kind: ConditionType, reason: Reason, message: str = "") -> Condition:
    """A condition that is True."""
    return Condition(kind, True, reason, message)


def no(kind: ConditionType, reason: Reason, message: str = "") -> Condition:
    """A condition that is False."""
    return Condition(kind, False, reason, message)


def waits(reason: Reason, message: str = "") -> tuple[Condition, Condition]:
    """Not Ready, and at work."""
    return no(READY, reason, message), yes(RECONCILING, reason, message)


def stuck(reason: Reason, message: str = "") -> tuple[Condition, Condition]:
    """Not Ready, until a person does something."""
    return no(READY, reason, message), yes(STALLED, reason, message)


def _functions() -> Iterator[tuple[str, Situation]]:
    good = Findings(ARN, code=CODE, revisions=Revisions("rev1", "pod1"))
    away = Problem(Reason.CODE_UNAVAILABLE, "the bucket does not answer")
    broken = Problem(Reason.INVALID_CODE, "no zip archive")
    missing = Problem(Reason.REFERENCE_NOT_FOUND, "no Secret key")
    pull, nodes = Problem(Reason.IMAGE_PULL_FAILED, "no such image"), Problem(Reason.UNSCHEDULABLE, "no room")
    yield "scaled to zero", Situation(function(good), "Current", "Healthy", "the function can be invoked")
    yield "running", Situation(function(Findings(**_with(good, running=2, serving=2))), "Current", "Healthy")
    yield (
        "its code is fetched",
        Situation(function(Findings(ARN, code=away)), "InProgress", "Progressing", away.message),
    )
    yield (
        "the code of the new specification is fetched",
        Situation(function(Findings(ARN, code=away), before=GENERATION - 1), "InProgress", "Progressing", away.message),
    )
    yield (
        "its code is broken",
        Situation(function(Findings(ARN, stalled=broken, code=broken)), "Failed", "Degraded", broken.message),
    )
    yield (
        "it waits for a Secret",
        Situation(function(Findings(**_with(good, waiting=missing))), "InProgress", "Progressing", missing.message),
    )
    yield (
        "its environments cannot be started",
        Situation(function(Findings(**_with(good, unhealthy=pull))), "InProgress", "Degraded", pull.message),
    )
    yield (
        "no further environment can be started, and some serve",
        Situation(function(Findings(**_with(good, unhealthy=pull, running=1, serving=1))), "Current", "Healthy"),
    )
    yield (
        "no node has room",
        Situation(function(Findings(**_with(good, unhealthy=nodes))), "InProgress", "Progressing", nodes.message),
    )
    yield "it is being deleted", Situation(function(good, deletionTimestamp=NOW), "Terminating", "Healthy")


def _with(findings: Findings, **changes: Any) -> dict[str, Any]:
    return {**{name: getattr(findings, name) for name in findings.__slots__}, **changes}


def _layers() -> Iterator[tuple[str, Situation]]:
    away, broken = Problem(Reason.CODE_UNAVAILABLE, "it does not answer"), Problem(Reason.INVALID_CODE, "no archive")
    missing = Problem(Reason.REFERENCE_NOT_FOUND, "no ConfigMap libs")
    yield "it is published", Situation(layer(CODE), "Current", "Healthy", "version 1 is as specified")
    yield "its content is fetched", Situation(layer(away), "InProgress", "Progressing", away.message)
    yield "it waits for a ConfigMap", Situation(layer(missing), "InProgress", "Progressing", missing.message)
    yield "its content is broken", Situation(layer(broken), "Failed", "Degraded", broken.message)
    yield "another has its name", Situation(layer(CODE, older="first"), "Failed", "Degraded")


def _versions() -> Iterator[tuple[str, Situation]]:
    published = (yes(READY, Reason.AVAILABLE), yes(HEALTHY, Reason.HEALTHY), no(ACTIVE, Reason.SCALED_TO_ZERO))
    yield "it is published", Situation(version(*published, version="7"), "Current", "Healthy")
    yield (
        "nothing had changed",
        Situation(
            version(*published, yes(ConditionType.DUPLICATE, Reason.UNCHANGED), version="7"), "Current", "Healthy"
        ),
    )
    for reason in (Reason.FUNCTION_NOT_FOUND, Reason.FUNCTION_NOT_READY):
        yield f"it waits: {reason}", Situation(version(*waits(reason, "so")), "InProgress", "Progressing", "so")
    yield (
        "the function has other code than it asks for",
        Situation(version(*stuck(Reason.PRECONDITION_FAILED, "other")), "Failed", "Degraded", "other"),
    )
    unhealthy = no(READY, Reason.IMAGE_PULL_FAILED, "none"), no(HEALTHY, Reason.IMAGE_PULL_FAILED, "none")
    yield (
        "its environments cannot be started",
        Situation(version(*unhealthy, version="7"), "InProgress", "Degraded", "none"),
    )


def _aliases() -> Iterator[tuple[str, Situation]]:
    six, seven = Routing(function_version="6"), Routing(function_version="7")
    both = Routing(function_version="6", additional_version_weights={"7": 0.1})
    there = yes(READY, Reason.AVAILABLE)
    yield "it points where it shall", Situation(alias(there, routing=seven), "Current", "Healthy")
    yield (
        "its rollout is over",
        Situation(alias(there, routing=seven, rollout=rollout("Succeeded", ended=True)), "Current", "Healthy"),
    )
    yield (
        "its specification has just changed",
        Situation(alias(there, observed=GENERATION - 1, routing=seven), "InProgress", "Progressing"),
    )
    for reason in (Reason.FUNCTION_NOT_FOUND, Reason.VERSION_NOT_FOUND):
        yield f"it waits: {reason}", Situation(alias(*waits(reason, "so")), "InProgress", "Progressing", "so")
    for phase in ("BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic"):
        moving = alias(*waits(Reason.ROLLOUT_IN_PROGRESS, "10 %"), routing=both, rollout=rollout(phase))
        yield f"its traffic moves: {phase}", Situation(moving, "InProgress", "Progressing", "10 %")
    yield (
        "no metrics can be had",
        Situation(
            alias(*waits(Reason.ROLLOUT_HELD), routing=both, rollout=rollout(held_since=NOW)),
            "InProgress",
            "Progressing",
        ),
    )
    paused = rollout(paused=True, held_since=NOW)
    yield (
        "somebody paused it",
        Situation(alias(*waits(Reason.ROLLOUT_PAUSED), routing=both, rollout=paused), "InProgress", "Suspended"),
    )
    for phase, why in (("RolledBack", Reason.ALARM), ("Stopped", Reason.ABORTED)):
        over = rollout(phase, ended=True, reason=why)
        back = alias(*stuck(Reason.ROLLED_BACK, f"taken back, {why}"), routing=six, rollout=over)
        yield f"its rollout is {phase}, {why}", Situation(back, "Failed", "Degraded", f"taken back, {why}")
    for phase in ("Stopped", "Superseded"):
        over = rollout(phase, ended=True, reason=Reason.ROLLOUT_SUPERSEDED)
        yield (
            f"its rollout is {phase}, and it points where it shall",
            Situation(alias(there, routing=six, rollout=over), "Current", "Healthy"),
        )
    for reason in (Reason.DUPLICATE_ALIAS_NAME, Reason.ROLE_MISMATCH, Reason.INVALID_SPEC):
        yield f"only a person can help: {reason}", Situation(alias(*stuck(reason)), "Failed", "Degraded")


def unseen(kind: str) -> Situation:
    """A new object: its status is what the definition fills in."""
    (model,) = (one for one in crds.KINDS if one.__name__ == kind)
    schema = crds.definition(model)["spec"]["versions"][-1]["schema"]["openAPIV3Schema"]
    body = {**object_of(kind, generation=1), "status": schema["properties"]["status"]["default"]}
    return Situation(body, "InProgress", "Progressing", "waiting for the controller")


SITUATIONS: dict[str, Situation] = {f"{kind}: nobody has looked yet": unseen(kind) for kind in SPECS} | {
    f"{kind}: {name}": situation
    for kind, rows in (("Function", _functions), ("Layer", _layers), ("Version", _versions), ("Alias", _aliases))
    for name, situation in rows()
}

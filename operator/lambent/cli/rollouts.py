"""What a rollout is told as: where it is, how it ended, and whether it is over. Pure: an Alias in, words out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lambent.model import names

from . import aliases, objects, printing
from .objects import Body

ENDED = ("Succeeded", "RolledBack", "Stopped", "Superseded")
_HISTORY_MAX = 5

Rollout = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How it came out."""

    good: bool
    text: str


def current(alias: Body) -> Rollout | None:
    """The rollout that is going on, or the last one."""
    found: Rollout | None = (alias.get("status") or {}).get("rollout")
    return found


def going_on(alias: Body) -> Rollout | None:
    """The rollout that has not ended."""
    rollout = current(alias)
    return rollout if rollout and rollout["phase"] not in ENDED else None


def request(alias: Body) -> str:
    """What a person asks of it by annotation."""
    return str((alias["metadata"].get("annotations") or {}).get(names.ANNOTATION_ROLLOUT, ""))


def record(alias: Body, deployment: str) -> Rollout | None:
    """The rollout of this id: the present one, or what the history kept of it."""
    status = alias.get("status") or {}
    known = (status.get("rollout"), *(status.get("history") or ()))
    return next((each for each in known if each and each["deploymentId"] == deployment), None)


def verdict(alias: Body, since: int, followed: str = "") -> Verdict | None:
    """What became of the specification of generation `since`; None while that is open.

    `followed`: id of a rollout that is waited for, whatever its generation.
    """
    status = alias.get("status") or {}
    if (status.get("observedGeneration") or 0) < since:
        return None
    counted = _counted(alias, since, followed)
    if counted:
        return ended(alias, counted)
    if going_on(alias):
        return None
    if objects.is_true(alias, "Ready"):
        return Verdict(good=True, text=f"{_name(alias)} is at {aliases.traffic(alias)}")
    return Verdict(good=False, text=_why(alias)) if objects.is_true(alias, "Stalled") else None


def ended(alias: Body, rollout: Rollout) -> Verdict:
    """How a rollout ended."""
    move = f"{_name(alias)}, {rollout['fromVersion']} -> {rollout['toVersion']}"
    because = objects.explained(rollout)
    text = f"{move}: {rollout['phase']}" + (f": {because}" if because else "")
    return Verdict(good=rollout["phase"] == "Succeeded", text=text)


def step(rollout: Rollout) -> str:
    """`step 2/9, 20% to 4`."""
    planned, number, target = rollout.get("steps") or [], int(rollout.get("step") or 0), rollout["toVersion"]
    if number == 0:
        return f"no traffic to {target} yet"
    if number > len(planned):
        return f"100% to {target}"
    return f"step {number}/{len(planned)}, {planned[number - 1]['percentage']}% to {target}"


def brief(alias: Body) -> str:
    """One line: for lists, and for those who watch."""
    rollout = current(alias)
    if rollout is None:
        return "-"
    parts = [str(rollout["phase"])]
    if rollout["phase"] not in ENDED:
        parts += [step(rollout), *_held(rollout)]
        parts += [f"hook {each['functionName']} {each['state']}" for each in rollout.get("hooks") or ()]
        parts += [f"alarm {each['name']} {each['state']}" for each in rollout.get("alarms") or ()]
    return "; ".join(parts)


def waiting(alias: Body) -> str:
    """One line of what is going on while there is no verdict."""
    rollout = going_on(alias)
    if rollout:
        return f"{rollout['deploymentId']}, {rollout['fromVersion']} -> {rollout['toVersion']}: {brief(alias)}"
    if ((alias.get("status") or {}).get("observedGeneration") or 0) < alias["metadata"].get("generation", 0):
        return "the controller has not seen the change yet"
    if objects.is_true(alias, "Ready"):  # what was asked by annotation is done, and about to be taken away
        return f"{_name(alias)} is at {aliases.traffic(alias)}"
    return _why(alias)


def story(alias: Body, now: float) -> str:
    """All of it. `now`: seconds since the epoch."""
    rollout = current(alias)
    lines = [("Alias", _name(alias)), ("Traffic", aliases.traffic(alias))]
    if rollout is None:
        lines.append(("Rollout", "none so far"))
    else:
        move = f"{rollout['fromVersion']} -> {rollout['toVersion']}"
        lines.append(("Rollout", f"{rollout['deploymentId']}, {move}, {rollout['strategy']}"))
        lines += _progress(alias, rollout, now)
    if not objects.is_true(alias, "Ready") and (rollout is None or rollout["phase"] in ENDED):
        lines.append(("Not ready", _why(alias)))
    if request(alias):
        lines.append(("Asked", f"{request(alias)}, by the annotation {names.ANNOTATION_ROLLOUT}"))
    width = max(len(head) for head, _ in lines) + 4
    text = "".join(f"{head + ':':{width}}{value}\n" for head, value in lines)
    return text + _history(alias)


def span(seconds: float) -> str:
    """`2m13s`, `1h5m`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60}s"
    return f"{whole // 3600}h{whole % 3600 // 60}m"


def _counted(alias: Body, since: int, followed: str) -> Rollout | None:
    """The rollout whose end is the answer: the one that is followed, or one of the specification that is meant."""
    seen, present = record(alias, followed), current(alias)
    if present and present.get("generation", 0) < since:
        present = None
    ends = (each for each in (seen, present) if each and each["phase"] in ENDED and each["phase"] != "Superseded")
    return next(ends, None)


def _progress(alias: Body, rollout: Rollout, now: float) -> list[tuple[str, str]]:
    over = rollout["phase"] in ENDED
    lines = [("Phase", str(rollout["phase"]))]
    if over:
        why = objects.explained(rollout)
        lines.append(("Ended", str(rollout.get("finishedAt") or "") + (f", {why}" if why else "")))
    else:
        lines.append(("Step", step(rollout) + _times(alias, rollout, now)))
        lines += [("Waits", held) for held in _held(rollout)]
        if rollout.get("promoted"):
            lines.append(("Promoted", "the rest of its steps are skipped"))
    for hook in rollout.get("hooks") or ():
        said = f" ({hook['message']})" if hook.get("message") else ""
        lines.append(("Hook", f"{hook['lifecycleEvent']} {hook['functionName']}: {hook['state']}{said}"))
    for alarm in rollout.get("alarms") or ():
        said = f" ({alarm['message']})" if alarm.get("message") else ""
        lines.append(("Alarm", f"{alarm['name']}: {alarm['state']}{said}"))
    return lines


def _times(alias: Body, rollout: Rollout, now: float) -> str:
    """Time in the step, and what is left of it; both stand still while it is held."""
    begun = _moment(rollout.get("stepStartedAt"))
    if begun is None or rollout["phase"] != "AllowTraffic":
        return ""
    held = _moment(rollout.get("heldSince"))
    inside = max(0.0, (now if held is None else held) - begun)
    planned, number = rollout.get("steps") or [], int(rollout.get("step") or 0)
    if 0 < number <= len(planned):
        whole = float(planned[number - 1]["seconds"])
    elif number > len(planned):
        whole = float((alias["spec"].get("rollout") or {}).get("bakeSeconds") or 0)
    else:
        whole = 0.0
    left = f", {span(whole - inside)} left" if whole else ""
    return f", for {span(inside)}{left}"


def _held(rollout: Rollout) -> list[str]:
    since = f" since {rollout['heldSince']}" if rollout.get("heldSince") else ""
    why = objects.explained(rollout)
    if rollout.get("paused"):
        return [f"paused{since}"]
    return [f"held{since}" + (f": {why}" if why else "")] if since else []


def _history(alias: Body) -> str:
    present = (current(alias) or {}).get("deploymentId")
    kept = [each for each in (alias.get("status") or {}).get("history") or () if each["deploymentId"] != present]
    rows = [
        [
            str(each["deploymentId"]),
            f"{each['fromVersion']} -> {each['toVersion']}",
            str(each["phase"]),
            str(each["finishedAt"]),
            objects.explained(each),
        ]
        for each in kept[:_HISTORY_MAX]
    ]
    return "\n" + printing.table(("BEFORE", "VERSIONS", "PHASE", "FINISHED", "REASON"), rows) if rows else ""


def _name(alias: Body) -> str:
    return f"{alias['spec']['functionName']}:{aliases.alias_name(alias)}"


def _why(alias: Body) -> str:
    ready = objects.explained(objects.condition(alias, "Ready")) or "it has no condition yet"
    return f"{_name(alias)} is not ready: {ready}"


def _moment(text: Any) -> float | None:
    """RFC 3339 → seconds since the epoch."""
    return datetime.fromisoformat(str(text)).timestamp() if text else None

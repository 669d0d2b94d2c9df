"""Histories of an alias, told to `core.rollout` and to the model, which must agree after every event.

The status goes through JSON after every decision: a controller that restarts at any moment knows no more.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache

from tests.core.rollout_model import LATEST, Alarm, Model, Plan, World

from lambent.core import rollout
from lambent.core.alarms import Reading
from lambent.core.pointing import Target
from lambent.core.readiness import Problem
from lambent.core.rollout import HookOutcome, Seen
from lambent.model.alias_statuses import AliasStatus, HookResult
from lambent.model.aliases import AliasObject, AliasSpec
from lambent.model.conditions import Reason

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)
ARN = "arn:aws:lambda:us-east-1:123456789012:function:hello:live"
EVENTS = {"pre": "BeforeAllowTraffic", "post": "AfterAllowTraffic"}
PHASES = {"pre": "BeforeAllowTraffic", "traffic": "AllowTraffic", "post": "AfterAllowTraffic"}

STEPS = ((10, 60), (50, 30))
ALARMS = (Alarm("a"), Alarm("b", "missing"), Alarm("c", "breaching", 20))
PLANS = {
    "at once": None,
    "plain": Plan(STEPS),
    "all at once": Plan((), 20),
    "one alarm": Plan(STEPS, 10, alarms=ALARMS[:1]),
    "alarms": Plan(STEPS, 30, alarms=ALARMS),
    "breaching": Plan(((20, 15), (40, 15)), alarms=ALARMS[2:]),
    "pre": Plan(((30, 20),), pre=("before", 100)),
    "hooks": Plan(STEPS, 0, ("before", 50), ("after", 70), ALARMS[:1]),
    "other hooks": Plan(((5, 5), (6, 5), (7, 5)), 5, ("before2", 80), ("after2", 40), ALARMS[:2]),
}
TARGETS = ("1", "2", "3", LATEST)


def spec_of(world):
    return _spec(world.target, tuple(world.weights.items()), world.plan)


@cache
def _spec(target, weights, plan):
    fields = {"functionName": "hello", "functionVersion": target or "9"}
    if weights:
        fields["routingConfig"] = {"additionalVersionWeights": dict(weights)}
    if plan is not None:
        hooks = {"preTraffic": plan.pre, "postTraffic": plan.post}
        fields["rollout"] = {
            **(
                {"steps": [{"percentage": percent, "seconds": seconds} for percent, seconds in plan.steps]}
                if plan.steps
                else {"strategy": "AllAtOnce"}
            ),
            "bakeSeconds": plan.bake,
            "hooks": {
                name: {"functionName": hook[0], "timeoutSeconds": hook[1]} for name, hook in hooks.items() if hook
            },
            "alarms": [
                {
                    "name": alarm.name,
                    "metric": "Errors",
                    "threshold": 0,
                    "period": alarm.period,
                    "treatMissingData": alarm.missing,
                }
                for alarm in plan.alarms
            ],
        }
    return AliasSpec.model_validate(fields)


def execution_id(deployment, event):
    return f"{deployment}/{event}"


class Story:
    """One alias in one world, decided upon after everything that happens."""

    def __init__(self):
        self.world, self.model = World(), Model()
        self.status = AliasStatus()
        self.started = 0
        self.asks, self.look_again = (), None
        self.told = []
        """Reasons of the Events, warnings with a mark."""
        self.decisions = 0
        self.met = Counter()
        """What happened how often: a test that meets nothing proves nothing."""
        self.look()

    # what happens

    def happen(self, event, *arguments):
        getattr(self, event)(*arguments)
        self.look()

    def wait(self, seconds):
        self.world.now += seconds

    def alarm(self, name, state):
        if state == "unread":
            self.world.alarms.pop(name, None)
        else:
            self.world.alarms[name] = state

    def report(self, result):
        if self.asks and self.model.run:
            ask = self.asks[0]
            digest = rollout.rollout_hooks.digest(ask.execution_id)
            stage = next(stage for stage, event in EVENTS.items() if event == ask.event)
            number = self.model.run.number
            self.world.reports.setdefault((number, stage), result)
            result = HookResult(executionIdSha256=digest, status=result, reportedAt=rollout.moments.spell(self.now))
            known = [*self.status.hook_results, result]
            self.status = self.status.model_copy(update={"hook_results": known[-16:]})

    def invoked(self, kind):
        if self.asks:
            outcome = HookOutcome(kind, "said so")
            self.status = rollout.hook_answered(self.status, self.asks[0], outcome, self.now)

    def request(self, word):
        self.world.request = word

    def target(self, version):
        self.world.target, self.world.weights = version, {}
        self.world.generation += 1
        if version is not None:
            self.world.exists.add(version)

    def weigh(self, version, other, weight):
        if version != other:
            self.target(version)
            self.world.exists.add(other)
            self.world.weights, self.world.plan = {other: weight}, None

    def plan(self, name):
        self.world.plan = PLANS[name]
        if self.world.plan is not None:
            self.world.weights = {}
        self.world.generation += 1

    def touch(self):
        self.world.generation += 1

    def delete(self, version):
        self.world.exists.discard(version)
        if version == self.world.target or version in self.world.weights:
            self.world.target, self.world.weights = None, {}

    # what is decided, and what has to be true of it

    @property
    def now(self):
        return EPOCH + timedelta(seconds=self.world.now)

    def seen(self, status):
        world = self.world
        missing = Problem(Reason.VERSION_NOT_FOUND, "Function not found: it")
        alias = AliasObject.model_construct(
            name="hello.live", namespace="a", uid="u", generation=world.generation, created="", deleting=False,
            owner_uid="f", request=world.request, spec=spec_of(world), status=status,
        )  # fmt: skip
        return Seen(
            alias=alias,
            target=missing if world.target is None else Target(world.target, world.weights),
            exists=frozenset(world.exists),
            arn=ARN,
            readings={name: Reading(state, f"{state} at {world.now}") for name, state in world.alarms.items()},
            now=self.now,
            new_id=f"d-{self.started:09d}",
            execution_id=execution_id,
        )

    def look(self):
        decision = self._decided()
        while decision.look_again == 0:
            self._compare(decision)
            decision = self._decided()
        self._compare(decision)
        self._is_settled(decision)
        if decision.take_request:
            self.world.request = ""
            self.look()

    def _decided(self):
        before = self.status
        self.model.look(self.world)
        self.started += 1
        self.decisions += 1
        decision = rollout.decide(self.seen(before))
        self.changed = decision.status != before
        if self.changed:
            text = decision.status.model_dump_json(by_alias=True, exclude_none=True)
            self.status = AliasStatus.model_validate_json(text)
            assert self.status == decision.status
        self.asks, self.look_again = decision.asks, decision.look_again
        self.told += [f"{told.reason}{'!' * told.warning}" for told in decision.told]
        self._keeps_the_promises(before, decision)
        return decision

    def _compare(self, decision):
        """The same as the model says."""
        model, status, run = self.model, self.status, self.status.rollout
        assert (status.routing.function_version if status.routing else None) == model.main
        assert (status.routing.additional_version_weights if status.routing else {}) == model.shares
        active = run if run and not run.ended else None
        assert (active is None) == (model.run is None)
        if active and model.run:
            assert (active.phase, active.step) == (PHASES[model.run.stage], model.run.step)
            assert (active.held_since is not None, active.paused) == (model.run.held, model.run.paused)
            waits = {stage for stage in model.run.asked if stage == model.run.stage and stage not in model.run.said}
            shown = {hook.lifecycle_event for hook in active.hooks if hook.state == "InProgress"}
            assert shown == {EVENTS[stage] for stage in waits}
        assert [record.phase for record in status.history] == model.ends[:10]
        assert (decision.look_again == 0) == model.fresh
        conditions = {condition.type: condition for condition in status.conditions}
        settled = self.world.target is not None and active is None
        bad = settled and model.bad == (self.world.target, self.world.generation)
        points = settled and (model.main, model.shares) == (self.world.target, self.world.weights)
        assert (conditions["Ready"].status == "True") == (points and not bad)
        assert ("Stalled" in conditions) == bad
        assert ("Reconciling" in conditions) == (not bad and not points)
        self.met.update(record.phase for record in status.history[:1])
        self.met[conditions["Ready"].reason] += 1

    def _keeps_the_promises(self, before, decision):
        """What must be true, whatever the model says."""
        routing, run = self.status.routing, self.status.rollout
        old = before.routing
        if routing is None:
            return
        shares = {routing.function_version, *routing.additional_version_weights}
        wanted = {self.world.target, *self.world.weights}
        known = {old.function_version, *old.additional_version_weights} if old else set()
        between = {before.rollout.from_version, before.rollout.to_version} if before.rollout else set()
        assert shares <= wanted | known | between, "a version that nobody asked for"
        assert len(shares) <= 2
        if run and not run.ended:
            assert shares <= {run.from_version, run.to_version}, "a third version"
            blind = any(alarm.state == "UNAVAILABLE" for alarm in run.alarms) and not run.promoted
            held_before = before.rollout and before.rollout.message == run.message
            if run.held_since and (held_before or run.paused or blind or self.world.target is None):
                assert weight(routing, run.to_version) <= weight(old, run.to_version), "traffic moved while held"
            if any(alarm.state == "ALARM" for alarm in run.alarms):
                raise AssertionError("an alarm is on and the rollout goes on")
            if not run.held_since:
                assert decision.look_again is not None, "nobody would look again"
        if run and run.phase == "RolledBack":
            just = self.status.history != before.history and self.world.target in (run.to_version, None)
            assert not just or weight(routing, run.from_version) == 1, "taken back, but not in the same write"

    def _is_settled(self, decision):
        """Nothing is written when nothing has changed, whatever alarms measure."""
        if not self.changed:
            return
        again = rollout.decide(self.seen(self.status))
        assert again.status == self.status
        assert again.asks == decision.asks
        assert [told for told in again.told if told.reason != Reason.NOTHING_TO_DO] == []

    def end(self):
        """From here, with everything fine, it ends by itself at the moments at which it wants to be looked at."""
        self.world.request = ""
        if self.world.target is None:
            self.target("1")
        self.world.alarms = dict.fromkeys("abc", "OK")
        self.look()
        for _ in range(200):
            run = self.status.rollout
            if run is None or run.ended:
                return
            self.report("Succeeded")
            self.wait(max(1, round(self.look_again or 0)))
            self.look()
        raise AssertionError("it does not end")


def weight(routing, version):
    if routing is None:
        return 0.0
    taken = sum(routing.additional_version_weights.values())
    if routing.function_version == version:
        return 1 - taken
    return routing.additional_version_weights.get(version, 0.0)


STATES = ("OK", "OK", "OK", "OK", "ALARM", "INSUFFICIENT_DATA", "UNAVAILABLE", "unread")


def draw(dice: random.Random):
    """An event: mostly time passes and things are fine."""
    choice = dice.random()
    if choice < 0.45:
        return ("wait", dice.choice((1, 5, 10, 15, 20, 30, 40, 60, 61)))
    if choice < 0.57:
        return ("alarm", dice.choice("abc"), dice.choice(STATES))
    if choice < 0.69:
        return ("report", dice.choice(("Succeeded", "Succeeded", "Succeeded", "Failed")))
    if choice < 0.72:
        return ("invoked", dice.choice(("Succeeded", "Failed", "NotInvoked")))
    if choice < 0.81:
        return ("request", dice.choice(("pause", "pause", "", "", "promote", "abort", "bogus")))
    if choice < 0.90:
        return ("target", dice.choice((*TARGETS, "2", "3", None)))
    if choice < 0.95:
        return ("plan", dice.choice(list(PLANS)))
    if choice < 0.97:
        return ("touch",)
    if choice < 0.985:
        return ("weigh", dice.choice("123"), dice.choice("123"), dice.choice((0.0, 0.1, 1.0)))
    return ("delete", dice.choice("123"))


def history(seed: int, length: int = 12):
    """A history that begins with a rollout from version 1 to version 2, whose alarms are mostly fine."""
    dice = random.Random(seed)
    begin = [("alarm", name, dice.choice(("OK",) * 8 + ("INSUFFICIENT_DATA", "unread"))) for name in "abc"]
    begin += [("plan", dice.choice([name for name in PLANS if name != "at once"])), ("target", "2")]
    return begin + [draw(dice) for _ in range(length)]


def play(events) -> Story:
    story = Story()
    for event in events:
        story.happen(*event)
    story.end()
    return story

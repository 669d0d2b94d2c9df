"""A rollout in simple rules of its own, to judge `core.rollout` by. It knows no status and no stamps: it counts seconds.

Nothing here is imported from what it judges.
"""

from __future__ import annotations

from dataclasses import dataclass, field

LATEST = "$LATEST"


@dataclass(frozen=True)
class Alarm:
    name: str
    missing: str = "notBreaching"
    period: int = 60


@dataclass(frozen=True)
class Plan:
    steps: tuple[tuple[int, int], ...] = ()
    """(percent, seconds)."""
    bake: int = 0
    pre: tuple[str, int] | None = None
    """(function, time-out)."""
    post: tuple[str, int] | None = None
    alarms: tuple[Alarm, ...] = ()


@dataclass
class World:
    """What is true around the alias."""

    now: int = 0
    generation: int = 1
    target: str | None = "1"
    """None: what the specification means does not exist."""
    weights: dict[str, float] = field(default_factory=dict)
    plan: Plan | None = None
    request: str = ""
    exists: set[str] = field(default_factory=lambda: {"1", "2", "3", LATEST})
    alarms: dict[str, str] = field(default_factory=dict)
    """Those that can be asked."""
    reports: dict[tuple[int, str], str] = field(default_factory=dict)
    """(number of the rollout, event) → what the hook reported."""


@dataclass
class Run:
    """A rollout that is going on."""

    number: int
    old: str
    new: str
    steps: tuple[tuple[int, int], ...]
    stage: str = "pre"
    step: int = 0
    clock: float = 0
    """Seconds that the step has run."""
    held: bool = False
    paused: bool = False
    promoted: bool = False
    asked: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Event → the function that is asked, and since when."""
    said: dict[str, str] = field(default_factory=dict)
    traffic: int | None = None
    """Since when the new version has a share."""


@dataclass
class Model:
    """The alias as it should be."""

    main: str | None = None
    shares: dict[str, float] = field(default_factory=dict)
    run: Run | None = None
    looked: int = 0
    begun: int = 0
    bad: tuple[str, int] | None = None
    """(target, generation) that was taken back."""
    ends: list[str] = field(default_factory=list)
    fresh: bool = False
    """A rollout with alarms has begun, and has to be looked at once more."""

    def look(self, world: World) -> None:
        run, passed, self.looked, self.fresh = self.run, world.now - self.looked, world.now, False
        if run is not None and not run.held:
            run.clock += passed
        self._deleted(world)
        asks = world.request in ("promote", "abort") or world.request not in ("", "pause")
        if self.run and world.request == "abort":
            self._bad(world, "Stopped")
        if self.run and world.request == "promote":
            self.run.promoted = True
        self._retarget(world)
        self._go(world)
        if world.target is None or self.run is not None or self.bad == (world.target, world.generation):
            return
        if self.main is None or world.plan is None or self.main == world.target or self.main not in world.exists:
            self.main, self.shares = world.target, dict(world.weights)
        elif not asks:
            steps = () if LATEST in (self.main, world.target) else world.plan.steps
            self.begun += 1
            self.run, self.shares = Run(self.begun, self.main, world.target, steps), {}
            self.fresh = bool(world.plan.alarms)
            if not self.fresh:
                self._go(world)

    # what happens to it from outside

    def _deleted(self, world):
        run = self.run
        if run and run.new not in world.exists:
            self._bad(world, "RolledBack")
        elif run and run.old not in world.exists:
            self._all(run.new, "Succeeded")
        elif not run and self.shares:
            other = next(iter(self.shares))
            if self.main not in world.exists and other in world.exists:
                self.main, self.shares = other, {}
            elif other not in world.exists:
                self.shares = {}

    def _retarget(self, world):
        run = self.run
        if run is None or world.target is None:
            return
        if world.weights or world.target != run.new:
            self._all(run.old, "Stopped" if world.target == run.old and not world.weights else "Superseded")
        elif world.plan is None:
            self._all(run.new, "Succeeded")

    # what it does by itself

    def _go(self, world):
        """Stage by stage, until somebody or something has to be waited for."""
        while self.run is not None:
            run, plan = self.run, world.plan or Plan()
            if self._fails(run, plan, world):
                self._bad(world, "RolledBack")
                return
            run.paused = world.request == "pause"
            run.held = run.paused or (not run.promoted and (world.target is None or self._unsure(run, plan, world)))
            if run.held or not self._onward(run, plan, world):
                return

    def _onward(self, run, plan, world) -> bool:
        if run.stage == "pre":
            if not self._hook(run, plan.pre, "pre", world):
                return False
            run.stage = "traffic"
            return True
        if run.stage == "post":
            if not self._hook(run, plan.post, "post", world):
                return False
            self._all(run.new, "Succeeded")
            return True
        length = [0, *(seconds for _, seconds in run.steps), plan.bake][run.step]
        if run.clock < length and not run.promoted:
            return False
        if run.step == len(run.steps) + 1:
            run.stage = "post"
            return True
        run.step = len(run.steps) + 1 if run.promoted else run.step + 1
        run.clock = 0
        run.traffic = world.now if run.traffic is None else run.traffic
        whole = run.step > len(run.steps)
        self.main = run.new if whole else run.old
        self.shares = {} if whole else {run.new: run.steps[run.step - 1][0] / 100}
        return True

    def _hook(self, run, hook, event, world) -> bool:
        """Whether nothing is said against going on."""
        if hook is None or (event == "pre" and run.promoted) or run.said.get(event) == "Succeeded":
            return True
        run.asked.setdefault(event, (hook[0], world.now))
        return False

    def _fails(self, run, plan, world) -> bool:
        hook = {"pre": plan.pre, "post": plan.post}.get(run.stage)
        if run.stage in run.asked and run.stage not in run.said:
            report = world.reports.get((run.number, run.stage))
            if report:
                run.said[run.stage] = report
            elif hook and hook[0] != run.asked[run.stage][0]:
                run.asked[run.stage] = (hook[0], world.now)
        if run.stage != "pre" and any(self._alarm(alarm, run, world) == "breach" for alarm in plan.alarms):
            return True
        if run.said.get(run.stage) == "Failed":
            return True
        waiting = run.stage in run.asked and run.stage not in run.said
        return bool(waiting and hook and world.now - run.asked[run.stage][1] >= hook[1])

    def _unsure(self, run, plan, world) -> bool:
        return run.stage != "pre" and any(self._alarm(alarm, run, world) == "unsure" for alarm in plan.alarms)

    def _alarm(self, alarm, run, world) -> str:
        state = world.alarms.get(alarm.name)
        if state in (None, "UNAVAILABLE"):
            return "unsure"
        if state == "ALARM":
            return "breach"
        if state == "OK" or alarm.missing == "notBreaching" or run.step == 0:
            return "fine"
        if alarm.missing == "breaching" and world.now - run.traffic >= alarm.period:
            return "breach"
        return "unsure"

    # how it ends

    def _bad(self, world, how):
        self.bad = (self.run.new, world.generation)
        self._all(self.run.old, how, keep=True)

    def _all(self, version, how, keep=False):
        self.main, self.shares, self.run = version, {}, None
        self.ends.insert(0, how)
        if not keep:
            self.bad = None

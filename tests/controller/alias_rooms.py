"""A controller of aliases, put together for tests: gateways, hooks and a Prometheus are fakes, time is the test's."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

from tests.controller.rooms import FUNCTION_PATH, GATEWAY, INSTALLATION, Room

from lambent.adapters.gateways import Invocation
from lambent.adapters.kube.resources import ALIASES, VERSIONS
from lambent.controller.alarming import Alarms, PrometheusPolls
from lambent.controller.alias_reconciling import AliasReconciler
from lambent.controller.hooking import HookRunner
from lambent.controller.metering import Metering
from lambent.model import names
from lambent.model.environments import Counters, Demand, Key
from lambent.model.errors import Unavailable

ALIAS_PATH, NUMBER_PATH = ALIASES.collection("a"), VERSIONS.collection("a")
LIVE = f"{ALIAS_PATH}/f.live"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
CANARY = {"steps": [{"percentage": 10, "seconds": 60}]}
STEPS = {"steps": [{"percentage": 10, "seconds": 60}, {"percentage": 50, "seconds": 60}]}
ERRORS = {"name": "errors", "metric": "ErrorRate", "threshold": 5, "period": 30}
PROMETHEUS = {"name": "prom", "prometheus": {"query": 'x{v="${version}"}'}, "threshold": 5}
GATEWAY_STATUS = {"fieldManager": names.FIELD_MANAGER_GATEWAY, "force": True, "subresource": "status"}


async def breathe():
    """Everything that can go on without waiting has done so."""
    for _ in range(20):
        await asyncio.sleep(0)


class FakeDoor:
    """Gateways' internal door: hooks answer as told, or as `answers` says one after the other."""

    def __init__(self):
        self.invoked = []
        self.answers = []
        self.answer = Invocation(200, "", b"null")
        self.hangs = False

    async def invoke(self, url, target, event):
        self.invoked.append((url, target, json.loads(event)))
        await asyncio.sleep(0)
        if self.hangs:
            await asyncio.Event().wait()
        answer = self.answers.pop(0) if self.answers else self.answer
        if isinstance(answer, Exception):
            raise answer
        return answer


class FakePrometheus:
    """Answers with a number, nothing, or an exception."""

    def __init__(self):
        self.asked = []
        self.answer = 0.0

    async def ask(self, query):
        self.asked.append(query)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class AliasRoom(Room):
    """Function `f`, its versions and its aliases in the namespace `a`."""

    prometheus = None

    def restart(self):
        """A new controller over the same cluster and gateway."""
        super().restart()
        self.tell_prometheus = asyncio.Event()
        self.door = getattr(self, "door", None) or FakeDoor()
        self.hooks = HookRunner(self.door, self.board.connected, self.nudged.append, lambda _failures: 0.0)
        metering = Metering(self.board, self.nudged.append, self.clock)
        polls = PrometheusPolls(self.prometheus, self.nudged.append, self.clock, self._until_told)
        self.aliases = AliasReconciler(
            self.tools, INSTALLATION.region, self.hooks, Alarms(metering, polls), self.wall_clock
        )

    async def crash(self):
        """The controller ends in whatever it does, and another one begins."""
        await self.aliases.close()
        self.restart()

    async def _until_told(self, _seconds):
        await self.tell_prometheus.wait()

    async def poll(self):
        """Prometheus is asked again."""
        self.tell_prometheus.set()
        self.tell_prometheus.clear()
        await breathe()

    def wall_clock(self):
        return BEGIN + timedelta(seconds=self.clock.now)

    # --- the cluster ---

    def publish(self, number, name=None, *, role=None, **metadata):
        """A Version of the function `f`, as the controller publishes them."""
        snapshot = {"codeSha256": "c29tZQ==", "codeSize": 1, "revision": f"{number:0>16}", "runtime": "python3.11"}
        if role:
            snapshot["role"] = role
        uid = self.api.objects[f"{FUNCTION_PATH}/f"]["metadata"]["uid"]
        body = {
            "metadata": {"name": name or f"f.{number}", **metadata},
            "spec": {"functionName": "f"},
            "status": {"functionUid": uid, "version": number, "snapshot": snapshot},
        }
        return self.api.add(NUMBER_PATH, body)

    def alias(self, called="f.live", **spec):
        body = {"metadata": {"name": called}, "spec": {"functionName": "f", **spec}}
        return self.api.add(ALIAS_PATH, body)["metadata"]["uid"]

    def point(self, **spec):
        """Somebody edits the alias."""
        self.edit("f.live", ALIAS_PATH, **spec)

    def annotate(self, request):
        def change(body):
            body["metadata"].setdefault("annotations", {})[names.ANNOTATION_ROLLOUT] = request

        self.api.change(LIVE, change)

    def annotation(self):
        return (self.api.objects[LIVE]["metadata"].get("annotations") or {}).get(names.ANNOTATION_ROLLOUT)

    async def report(self, status, name="f.live"):
        """What a gateway does with a hook's PutLifecycleEventHookExecutionStatus."""
        [hook] = [each for each in self.rollout(name)["hooks"] if each["state"] == "InProgress"]
        result = {
            "executionIdSha256": hook["executionIdSha256"],
            "status": status,
            "reportedAt": self.wall_clock().isoformat(),
        }
        body = {"metadata": {"name": name}, "status": {"hookResults": [result]}}
        manager = names.FIELD_MANAGER_GATEWAY
        await self.api.client.apply(f"{ALIAS_PATH}/{name}", body, manager, force=True, subresource="status")

    # --- what is there ---

    def status_of(self, name="f.live"):
        return self.api.objects[f"{ALIAS_PATH}/{name}"].get("status") or {}

    def routing(self, name="f.live"):
        """`1` or `1+2:0.1`."""
        routing = self.status_of(name).get("routing")
        if routing is None:
            return None
        weights = "".join(f"+{one}:{share}" for one, share in routing.get("additionalVersionWeights", {}).items())
        return routing["functionVersion"] + weights

    def rollout(self, name="f.live"):
        return self.status_of(name).get("rollout")

    def phase(self, name="f.live"):
        return self.rollout(name)["phase"]

    def said(self, name="f.live"):
        """Reason of each condition."""
        return {each["type"]: each["reason"] for each in self.status_of(name)["conditions"]}

    def message(self, name="f.live"):
        [ready] = [each for each in self.status_of(name)["conditions"] if each["type"] == "Ready"]
        return ready["message"]

    def events(self):
        return [event["reason"] for event in self.api.under("/events")]

    def writes(self):
        return self.api.writes("/namespaces/a/")

    # --- the loop ---

    async def work(self, uid, rounds=1):
        """See everything, then reconcile as the queue does: as long as there is something to do now."""
        for _ in range(rounds):
            await self.sweeper.sweep()
            for _ in range(10):
                self.nudged[:] = [other for other in self.nudged if other != uid]
                again = await self.aliases.reconcile(uid)
                await self.aliases.settle()
                await breathe()
                if again != 0 and uid not in self.nudged:
                    break
            else:
                raise AssertionError("it does not come to rest")
        return again

    async def later(self, uid, seconds, each=None):
        """Time passes, and gateways say what they have to."""
        self.clock.now += seconds
        if each:
            each()
        return await self.work(uid)

    def serve(self, version, invocations, errors=0, throttles=0):
        """Totals of the gateway for a version of the function, with durations below 5 ms."""
        uid = self.api.objects[f"{FUNCTION_PATH}/f"]["metadata"]["uid"]
        counters = Counters(invocations, errors, throttles, (0, 0, invocations))
        self.board.note(GATEWAY, Demand(1, Key(uid, version, "r"), 0, 0, 0, counters=counters))

    def lose_gateway(self):
        self.board.lose(GATEWAY)

    def find_gateway(self):
        self.board.found(GATEWAY)


AWAY = Unavailable("connection refused")

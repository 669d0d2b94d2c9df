"""A controller put together for tests, over fakes at its borders."""

import base64

from prometheus_client import CollectorRegistry
from tests.core.lying_archives import Entry, archive

from lambent.adapters.gateways import Retirement
from lambent.adapters.kube.events import EventRecorder
from lambent.adapters.kube.resources import ALIASES, FUNCTIONS, LAYER_VERSIONS, LAYERS, PODS, VERSIONS
from lambent.controller.applying import Tools
from lambent.controller.demanding import DemandBoard
from lambent.controller.layer_reconciling import LayerReconciler
from lambent.controller.measuring import ControllerMetrics
from lambent.controller.publishing import Publisher, key_of
from lambent.controller.reconciling import Reconciler
from lambent.controller.referring import ReferenceBoard
from lambent.controller.store import Store
from lambent.controller.storing import CodeShelf
from lambent.controller.sweeping import Sweeper
from lambent.controller.version_reconciling import VersionReconciler
from lambent.core.plan import Installation
from lambent.core.scaling import ScalingSettings
from lambent.core.workload import WorkloadSettings
from lambent.model.environments import Demand, IdleEnvironment, Key
from lambent.model.errors import Unavailable

LAYER_ZIP = base64.b64encode(archive(Entry(b"python/helper.py", b"x = 1"))).decode()
INSTALLATION = Installation("eu-test-1", {"python3.11": "registry/python:3.11"}, ScalingSettings())
FUNCTION_PATH, POD_PATH = FUNCTIONS.collection("a"), PODS.collection("a")
VERSIONS_PATH, ALIAS_PATH = VERSIONS.collection("a"), ALIASES.collection("a")
LAYER_PATH, VERSION_PATH = LAYERS.collection("a"), LAYER_VERSIONS.collection("a")
GATEWAY = "http://10.0.0.1:8081"


class FakeCodeStore:
    """Blobs by path; takes whatever is signed."""

    def __init__(self):
        self.blobs = {}
        self.calls = []
        self.away = False

    async def put(self, signed_path, data):
        self._answer("put")
        self.blobs[signed_path.split("?")[0]] = data

    async def has(self, signed_path):
        self._answer("has")
        return signed_path.split("?")[0] in self.blobs

    def _answer(self, call):
        self.calls.append(call)
        if self.away:
            raise Unavailable("the code store is away")


class FakeGateways:
    """One gateway that gives up what is not busy."""

    def __init__(self):
        self.busy = set()
        self.asked = []
        self.away = False
        self.slow = None

    async def retire(self, url, pods):
        if self.slow:
            await self.slow.wait()
        if self.away:
            raise Unavailable("the gateway is away")
        pods = list(pods)
        self.asked.append(pods)
        return Retirement(frozenset(set(pods) - self.busy), frozenset(self.busy & set(pods)))


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Room:
    def __init__(self, api):
        self.api = api
        self.clock = Clock()
        self.nudged = []
        self.restart()

    def restart(self):
        """A new controller over the same cluster, code store and gateway."""
        self.codestore = getattr(self, "codestore", None) or FakeCodeStore()
        self.gateways = getattr(self, "gateways", None) or FakeGateways()
        self.metrics = ControllerMetrics(CollectorRegistry())
        self.store = Store(self.nudged.append)
        self.board = DemandBoard(self.store.nudge_owner, self.clock)
        self.board.expect(GATEWAY)
        self.board.found(GATEWAY)
        self.references = ReferenceBoard(self.nudged.append)
        self.shelf = CodeShelf(self.codestore, b"key", self.clock)
        recorder = EventRecorder(self.api.client, "lambent-controller", "pod-1")
        self.tools = Tools(
            self.api.client,
            self.gateways,
            self.board,
            self.store,
            self.references,
            recorder,
            self.metrics,
            WorkloadSettings(door_port=9000),
            b"agent key",
        )
        self.asked = {}
        self.versions = VersionReconciler(self.tools, self.ask, INSTALLATION, self.clock)
        self.publisher = Publisher(self.tools, self.versions, INSTALLATION.region, self.clock)
        self.reconciler = Reconciler(self.tools, self.shelf, INSTALLATION, self.ask, self.clock)
        self.layers = LayerReconciler(self.tools, self.shelf, INSTALLATION.region)
        self.sweeper = Sweeper(self.api.client, self.store, ())

    # --- the cluster ---

    def namespace(self, name="a"):
        self.api.add("/api/v1/namespaces", {"metadata": {"name": name, "uid": f"uid-{name}"}})

    def function(self, name="f", **spec):
        if "/api/v1/namespaces/a" not in self.api.objects:
            self.namespace()
        body = {
            "apiVersion": "lambent.dev/v1alpha1",
            "kind": "Function",
            "metadata": {"name": name},
            "spec": {
                "runtime": "python3.11",
                "handler": "index.handler",
                "code": {"inline": "def handler(e, c): return e"},
                **spec,
            },
        }
        return self.api.add(FUNCTION_PATH, body)["metadata"]["uid"]

    def layer(self, name="libs", **spec):
        if "/api/v1/namespaces/a" not in self.api.objects:
            self.namespace()
        body = {
            "apiVersion": "lambent.dev/v1alpha1",
            "kind": "Layer",
            "metadata": {"name": name},
            "spec": {"content": {"zipFile": LAYER_ZIP}, **spec},
        }
        return self.api.add(LAYER_PATH, body)["metadata"]["uid"]

    def version(self, name="v", of="f", labels=None, **spec):
        body = {
            "apiVersion": "lambent.dev/v1alpha1",
            "kind": "Version",
            "metadata": {"name": name, **({"labels": labels} if labels else {})},
            "spec": {"functionName": of, **spec},
        }
        return self.api.add(VERSIONS_PATH, body)["metadata"]["uid"]

    def alias(self, name="live", of="f", **spec):
        body = {
            "apiVersion": "lambent.dev/v1alpha1",
            "kind": "Alias",
            "metadata": {"name": f"{of}.{name}"},
            "spec": {"functionName": of, "name": name, **spec},
        }
        return self.api.add(ALIAS_PATH, body)["metadata"]["uid"]

    def edit(self, name="f", path=FUNCTION_PATH, **spec):
        def change(body):
            body["spec"].update(spec)
            body["metadata"]["generation"] += 1

        self.api.change(f"{path}/{name}", change)

    def kubelet(self, **status):
        """Every pending pod is running now (or as given)."""
        started = {
            "phase": "Running",
            "podIP": "10.0.0.9",
            "containerStatuses": [{"name": "environment", "state": {"running": {}}}],
        }
        for path, body in list(self.api.objects.items()):
            if "/pods/" in path and not body.get("status"):
                self.api.change(path, lambda body: body.update(status=status or started))

    def status(self, name="f"):
        return self.api.objects[f"{FUNCTION_PATH}/{name}"].get("status") or {}

    def conditions(self, name="f"):
        return {each["type"]: (each["status"], each["reason"]) for each in self.status(name)["conditions"]}

    def pods(self):
        return [body for body in self.api.under("/pods") if not body["metadata"].get("deletionTimestamp")]

    # --- the loop ---

    async def work(self, uid, rounds=1):
        """See everything, then reconcile."""
        for _ in range(rounds):
            await self.sweeper.sweep()
            kind = self._kind(uid)
            again = await kind.reconcile(uid)
            await kind.settle()
            waits = (again, await self.publish())
        return min((wait for wait in waits if wait is not None), default=None)

    def ask(self, name):
        self.asked[key_of(name)] = None

    async def publish(self):
        """Publish what was asked for; in how many seconds that is to be done again."""
        again = None
        while self.asked:
            again = await self.publisher.work(self.asked.popitem()[0])
            await self.versions.settle()
        return again

    def _kind(self, uid):
        if self.store.layers.has_known(uid):
            return self.layers
        return self.versions if self.store.versions.has_known(uid) else self.reconciler

    async def settle(self, rounds=40):
        """See everything, then work on whatever exists or was nudged, until nobody writes any more."""
        for _ in range(rounds):
            await self.sweeper.sweep()
            before = len(self.api.writes())
            store = self.store
            uids = dict.fromkeys([*self.nudged, *store.uids(), *store.layers.uids(), *store.versions.uids()])
            self.nudged.clear()
            for uid in uids:
                kind = self._kind(uid)
                await kind.reconcile(uid)
                await kind.settle()
                await self.publish()
            if len(self.api.writes()) == before:
                return
        raise AssertionError("writes go on and on")

    def demand(self, uid, in_flight=0, waiting=0, idle=(), starting=0, name="f", version=None):
        key = Key(uid, "latest", self.status(name)["podRevision"])
        if version is not None:
            status = self.api.objects[f"{VERSIONS_PATH}/{version}"]["status"]
            key = Key(uid, status["version"], status["podRevision"])
        each = tuple(IdleEnvironment(f"a/{pod}", int(seconds * 1000)) for pod, seconds in idle)
        self.board.note(GATEWAY, Demand(1, key, in_flight, waiting, starting, each))

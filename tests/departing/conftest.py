"""A cluster that a release leaves: Deployments that keep pods, pods that end when they are told to, or do not."""

from __future__ import annotations

import pytest
from tests.adapters.kube.fake_api import FakeApi, reply

from lambent.departing.leaving import Departure, Pace
from lambent.departing.settings import Settings

RELEASE, SYSTEM = "faas", "faas-system"
ENVIRONMENT = {"app.kubernetes.io/managed-by": "lambent", "app.kubernetes.io/component": "environment"}


class Leaving(FakeApi):
    """The fake API server, with a kubelet that takes `ticks` looks to end a pod and a Deployment controller."""

    def __init__(self):
        super().__init__()
        self.ticks = {}
        self.order = []
        self.stubborn = set()
        self.immortal = set()

    async def answer(self, request):
        if request.path.endswith("/scale") and not self._failing(request):
            name = request.path.split("/")[-2]
            self.requests.append((request.method, request.path))
            self.order.append(f"scale {name}")
            assert await request.json() == {"spec": {"replicas": 0}}
            for path, body in list(self.objects.items()):
                if "/pods/" in path and body["metadata"].get("ownedBy") == name:
                    self._end(path)
            return reply({})
        if request.method == "GET" and request.path.endswith("/pods"):
            self._tick()
        return await super().answer(request)

    def _delete(self, item, here, body):
        if "/pods/" not in item:
            self.order.append(f"delete {item.rsplit('/', 1)[1]}")
            return super()._delete(item, here, body)
        forced = (body or {}).get("gracePeriodSeconds") == 0
        self.order.append(f"{'force' if forced else 'delete'} {here['metadata']['name']}")
        if forced and here["metadata"]["name"] not in self.immortal:
            self.ticks[item] = 0
        self._end(item)
        return reply(here)

    def _failing(self, request):
        return any(each.method == request.method and each.path in request.path and each.times for each in self.failures)

    def _end(self, path):
        def mark(body):
            body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"

        self.change(path, mark)
        name = path.rsplit("/", 1)[1]
        self.ticks.setdefault(path, 10**9 if name in self.stubborn | self.immortal else 3)

    def _tick(self):
        for path in list(self.ticks):
            self.ticks[path] -= 1
            if self.ticks[path] <= 0 and path in self.objects:
                del self.ticks[path]
                self.order.append(f"gone {path.rsplit('/', 1)[1]}")
                self.remove(path)

    def pod(self, namespace, name, labels=None, owner=""):
        metadata = {"name": name, "labels": dict(labels or ENVIRONMENT), "ownedBy": owner}
        return self.add(f"/api/v1/namespaces/{namespace}/pods", {"metadata": metadata})

    def process(self, name, release=RELEASE, namespace=SYSTEM):
        labels = {
            "app.kubernetes.io/name": "lambent",
            "app.kubernetes.io/instance": release,
            "app.kubernetes.io/component": name,
        }
        return self.pod(namespace, f"{release}-{name}-x", labels, f"{release}-{name}")

    def policy(self, namespace, name, labels=None):
        collection = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
        ours = {**ENVIRONMENT, "app.kubernetes.io/instance": RELEASE}
        return self.add(collection, {"metadata": {"name": name, "labels": dict(labels or ours)}})

    def names(self):
        return sorted(path.rsplit("/", 1)[1] for path in self.objects)


class Scene:
    """The cluster, and a departure whose hour is a few of its looks."""

    def __init__(self, api):
        self.api = api
        self.said = []
        self.now = 0.0

    def clock(self):
        self.now += 1.0  # every look at the clock is a second: no test waits for a real one
        return self.now

    async def leave(self, *namespaces, seconds=100.0):
        settings = Settings(SYSTEM, RELEASE, f"{RELEASE}-", namespaces, seconds)
        departure = Departure(self.api.client, settings, self.said.append, Pace(self.clock, 0.0))
        return await departure.leave()


@pytest.fixture
async def scene():
    api = await Leaving().start()
    yield Scene(api)
    await api.stop()

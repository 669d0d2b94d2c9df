"""kopf, over an API server that misbehaves: whatever happens, the store ends up equal to the cluster."""

import asyncio
import json
import logging
import threading
import time
from contextlib import asynccontextmanager

import pytest
from tests.adapters.kube.fake_api import FakeApi, Spoil

from lambent.adapters.kube.kopf_sessions import Backoffs, WatchPace
from lambent.adapters.kube.pulses import DEAD_AFTER_SECONDS, Pulses
from lambent.adapters.kube.resources import FUNCTIONS, PODS
from lambent.controller import watching as watching_module
from lambent.controller.observed import Malformed
from lambent.controller.store import Store
from lambent.controller.watching import Patience, Watcher
from lambent.model import names

COLLECTION = FUNCTIONS.collection("a")
EVERYTHING = FUNCTIONS.collection()
PACE = WatchPace(silence=0.5, brief=0.1, first_wait=0.01, longest_wait=0.05)
QUICK = Patience(
    silence=3.0, check=0.05, first_wait=0.05, longest_wait=0.2, watches=PACE, backoffs=Backoffs(first=0.02, longest=0.1)
)


def function(name, **spec):
    return {
        "apiVersion": "lambent.dev/v1alpha1",
        "kind": "Function",
        "metadata": {"name": name},
        "spec": {"runtime": "python3.11", "handler": "i.h", "code": {"inline": "x = 1"}, **spec},
    }


def use(api, monkeypatch, folder):
    """Make kopf speak to this server."""
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": api.client.library.configuration.host}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    (folder / "kubeconfig").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(folder / "kubeconfig"))


@pytest.fixture
def cluster(api, monkeypatch, tmp_path):
    use(api, monkeypatch, tmp_path)
    return api


@asynccontextmanager
async def watched(patience=QUICK, pulses=None, namespaces=()):
    """A store that a watcher fills."""
    store = Store(lambda _: None)
    task = asyncio.create_task(Watcher(store, namespaces, pulses or Pulses(), patience).run())
    try:
        yield store
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def known(store):
    return sorted(store.function(uid).name for uid in store.uids())


async def sees(store, expected, seconds=20):
    """Wait until the store holds these Functions."""
    async with asyncio.timeout(seconds):
        while known(store) != sorted(expected):
            await asyncio.sleep(0.02)


def event(kind, body):
    return json.dumps({"type": kind, "object": body}).encode() + b"\n"


EXPIRED = {"kind": "Status", "code": 410, "message": "too old resource version"}
BROKEN = {"kind": "Status", "code": 500, "message": "etcd event received with PrevKv=nil"}
SPOILS = {
    "a silent watch: open, and not a word": Spoil(hangs=True),
    "a watch that ends at once, again and again": Spoil(times=20),
    "a line that is no JSON": Spoil((b'{"type": "ADDED", "obj\n',)),
    "a line that is no text": Spoil((b"\xff\xfe\x00\n",)),
    "a line that is no event": Spoil((b"[]\n",)),
    "half a line": Spoil((b'{"type": "MODI',)),
    "an event without an object": Spoil((b'{"type": "ADDED"}\n',)),
    "an event of an unknown type": Spoil((event("SHRUGGED", {"metadata": {}}),)),
    "410 in the stream": Spoil((event("ERROR", EXPIRED),)),
    "410 again and again": Spoil((event("ERROR", EXPIRED),), times=5),
    "500 in the stream": Spoil((event("ERROR", BROKEN),)),
    "a web page": Spoil((b"<html>a proxy speaks</html>\n",)),
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS.keys())
async def test_no_change_is_missed_over_a_watch_that_goes_wrong(cluster, spoil):
    """What came and what went meanwhile is known in the end, by this watch or the next one."""
    cluster.add(COLLECTION, function("early"))
    async with watched() as store:
        await sees(store, ["early"])
        spoil.released.clear()
        cluster.spoils["/functions"] = Spoil(spoil.lines, spoil.times, spoil.hangs)
        cluster.cut()
        await asyncio.sleep(0.1)
        cluster.add(COLLECTION, function("late"))
        await sees(store, ["early", "late"])


REFUSALS = {
    "the API server is away": {"status": 503, "times": 30},
    "an internal error": {"status": 500, "times": 5},
    "a right that comes back": {"status": 403, "reason": "Forbidden", "times": 10},
    "credentials that have run out": {"status": 401, "reason": "Unauthorized", "times": 1},
    "too many requests": {"status": 429, "headers": {"Retry-After": "1"}, "times": 2},
    "the kind is gone for a while": {"status": 404, "reason": "NotFound", "times": 4},
    "a resource version that is gone": {"status": 410, "reason": "Expired", "times": 2},
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
async def test_refusals_are_waited_out(cluster, refusal):
    """Nothing of it ends the process, and afterwards everything is known."""
    cluster.add(COLLECTION, function("early"))
    async with watched() as store:
        await sees(store, ["early"])
        cluster.fail("GET", "/functions", **refusal)
        cluster.cut()
        cluster.add(COLLECTION, function("late"))
        await sees(store, ["early", "late"])


async def test_retry_after_is_respected(cluster):
    """A server that asks for two seconds gets them."""
    async with watched() as store:
        cluster.add(COLLECTION, function("early"))
        await sees(store, ["early"])
        cluster.fail("GET", "/functions", status=429, headers={"Retry-After": "2"})
        cluster.cut()
        begun = time.monotonic()
        cluster.add(COLLECTION, function("late"))
        await sees(store, ["early", "late"])
        assert time.monotonic() - begun >= 1.9


async def test_watches_that_end_at_once_are_not_spun(cluster):
    """Each waits longer than the one before, up to a bound; the API server is not asked a thousand times a second."""
    slow = Patience(watches=WatchPace(brief=1.0, first_wait=0.1, longest_wait=5.0, dice=lambda: 1.0))
    async with watched(slow) as store:
        cluster.add(COLLECTION, function("early"))
        await sees(store, ["early"])
        cluster.spoils["/functions"] = Spoil(times=10_000)
        cluster.cut()
        before = len(cluster.requests)
        await asyncio.sleep(2.0)
        asked = [path for _, path in cluster.requests[before:] if path == EVERYTHING]
        assert 2 <= len(asked) <= 8


async def test_a_watcher_that_died_without_a_word_is_begun_anew(cluster):
    """kopf does not notice when a watcher's task is cancelled: the missing sign of life tells."""
    cluster.add(COLLECTION, function("early"))
    patience = Patience(silence=1.0, check=0.05, first_wait=0.05, longest_wait=0.1, watches=PACE)
    async with watched(patience) as store:
        await sees(store, ["early"])
        kill_watchers("functions")
        cluster.add(COLLECTION, function("late"))
        await sees(store, ["early", "late"])


def kill_watchers(kind):
    """Cancel kopf's watchers of a kind in kopf's own loop, as its inactivity timeout could."""
    [loop] = [one for one in _loops() if not one.is_closed()]

    def kill():
        for task in asyncio.all_tasks(loop):
            if task.get_name().startswith(f"watcher for {kind}"):
                task.cancel()

    loop.call_soon_threadsafe(kill)


def _loops():
    import gc

    here = asyncio.get_running_loop()
    # by type: isinstance() asks weak proxies, whose objects may be gone
    kind = watching_module._KopfThread
    threads = [one for one in gc.get_objects() if type(one) is kind and not one._stopped]
    return [one._loop for one in threads if one._loop is not None and one._loop is not here and one._loop.is_running()]


async def test_a_stall_of_kopfs_loop_misses_nothing(cluster):
    """A stall three times as long as the longest silence, while objects come and go."""
    cluster.add(COLLECTION, function("early"))
    async with watched() as store:
        await sees(store, ["early"])
        [loop] = _loops()
        for number in range(3):
            loop.call_soon_threadsafe(time.sleep, 1.5)
            await asyncio.sleep(0.2)
            cluster.add(COLLECTION, function(f"during{number}"))
            cluster.change(f"{COLLECTION}/early", lambda body: body["spec"].update(memorySize=512))
        await sees(store, ["early", "during0", "during1", "during2"])
        [early] = [store.function(uid) for uid in store.uids() if store.function(uid).name == "early"]
        assert early.spec.memory_size == 512


class ApiThread:
    """The fake in a loop of its own, so that ours may stand still."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.api = FakeApi()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def do(self, change, *arguments):
        async def act():
            return change(*arguments)

        return self.run(act())

    def stop(self):
        self.run(self.api.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)


async def test_a_stall_of_our_own_loop_misses_nothing(monkeypatch, tmp_path):
    """kopf goes on reading while decisions stand still; they catch up in order."""
    thread = ApiThread()
    thread.run(thread.api.start())
    use(thread.api, monkeypatch, tmp_path)
    try:
        async with watched() as store:
            for number in range(5):
                thread.do(thread.api.add, COLLECTION, function(f"f{number}"))
            await sees(store, [f"f{number}" for number in range(5)])
            for number in range(5):
                thread.do(thread.api.remove, f"{COLLECTION}/f{number}")
                thread.do(thread.api.add, COLLECTION, function(f"g{number}"))
                time.sleep(0.4)
            await sees(store, [f"g{number}" for number in range(5)])
    finally:
        thread.stop()


ODD = {
    "kopf's own annotation, broken": {"annotations": {"kopf.zalando.org/last-handled-configuration": "{"}},
    "kopf's progress, broken": {"annotations": {"kopf.dev/function_event": "]["}},
    "kopf's finalizer": {"finalizers": ["kopf.zalando.org/KopfFinalizerMarker"]},
    "huge annotations": {"annotations": {f"example.com/{number}": "x" * 20_000 for number in range(10)}},
    "annotations that are no texts": {"annotations": {"a": 1, "b": None, "c": ["d"]}},
    "annotations that are no map": {"annotations": "none", "labels": []},
    "no annotations, as null": {"annotations": None, "labels": None, "finalizers": None},
    "only managed fields": {"managedFields": [{"manager": "x", "fieldsV1": {"f:spec": {}}}]},
    "many managed fields": {"managedFields": [{"manager": f"m{number}", "fieldsV1": {}} for number in range(500)]},
    "a generation that is no number": {"generation": "first"},
}


@pytest.mark.parametrize("metadata", ODD.values(), ids=ODD.keys())
async def test_an_odd_object_stops_nobody_and_is_never_written_to(cluster, metadata, request):
    """The neighbours are seen, before and after it, and so is a change of the odd one; kopf patches nothing."""
    cluster.add(COLLECTION, function("before"))
    body = function("odd")
    body["metadata"].update(metadata)
    cluster.add(COLLECTION, body)
    async with watched() as store:
        async with asyncio.timeout(20):
            while "before" not in known(store):
                await asyncio.sleep(0.02)
        cluster.add(COLLECTION, function("after"))
        cluster.change(f"{COLLECTION}/odd", lambda body: body["spec"].update(memorySize=1024))
        async with asyncio.timeout(20):
            while not {"before", "after"} <= set(known(store)):
                await asyncio.sleep(0.02)
        if "annotations that are no" not in request.node.callspec.id:  # which no API server shows
            async with asyncio.timeout(20):
                while not changed(store, "odd"):
                    await asyncio.sleep(0.02)
    assert cluster.writes() == []


def changed(store, name):
    found = [each for uid in store.uids() if (each := store.function(uid)).name == name]
    return bool(found) and (isinstance(found[0], Malformed) or found[0].spec.memory_size == 1024)


async def test_pods_and_namespaces_reach_the_store_too(cluster):
    """Pods by their labels only."""
    uid = cluster.add(COLLECTION, function("f"))["metadata"]["uid"]
    cluster.add("/api/v1/namespaces", {"metadata": {"name": "a", "uid": "n"}})
    labels = {
        names.LABEL_MANAGED_BY: names.MANAGED_BY,
        names.LABEL_COMPONENT: names.COMPONENT_ENVIRONMENT,
        names.LABEL_FUNCTION_UID: uid,
        names.LABEL_VERSION: "latest",
        names.LABEL_POD_REVISION: "r",
    }
    pod = {"metadata": {"name": "p", "labels": labels, "annotations": {names.ANNOTATION_NONCE: "n"}}, "status": {}}
    async with watched() as store:
        cluster.add(PODS.collection("a"), pod)
        cluster.add(PODS.collection("a"), {"metadata": {"name": "other"}})
        async with asyncio.timeout(20):
            while not (store.pods((uid, "latest")) and store.account("a")):
                await asyncio.sleep(0.02)
        cluster.remove(f"{PODS.collection('a')}/p")
        async with asyncio.timeout(20):
            while store.pods((uid, "latest")):
                await asyncio.sleep(0.02)


async def test_an_api_server_that_is_away_is_no_reason_to_restart_us(cluster):
    """Whoever keeps asking is alive: the watchers give signs of life all the time, and kopf is not begun anew."""
    pulses = Pulses()
    async with watched(pulses=pulses) as store:
        cluster.add(COLLECTION, function("early"))
        await sees(store, ["early"])
        cluster.fail("GET", "/", status=503, times=100_000)
        cluster.cut()
        for _ in range(30):
            await asyncio.sleep(0.1)
            assert pulses.silent(2.0) == []
        cluster.failures.clear()
        cluster.add(COLLECTION, function("late"))
        await sees(store, ["early", "late"])


def test_a_dead_watcher_is_told_within_90_seconds_and_a_live_one_never():
    """A sign of life is worth 87 s; who was not expected, or left, is not missed."""
    now = [0.0]
    pulses = Pulses(lambda: now[0])
    assert pulses.problem() is None
    pulses.expect(["functions", "pods"])
    now[0] = 80.0
    pulses.beat("pods")
    assert pulses.problem() is None
    now[0] = DEAD_AFTER_SECONDS + 0.5
    assert DEAD_AFTER_SECONDS < 90
    assert pulses.problem() == "nothing watches functions"
    pulses.beat("functions")
    pulses.beat("somebody else")
    assert pulses.problem() is None
    now[0] = 500.0
    pulses.dismiss(["functions", "pods"])
    assert pulses.problem() is None


def test_the_default_patience_holds_what_is_promised():
    """A silent watch is given up within 75 s; between two signs of life there is never as much as the kubelet waits."""
    patience, backoffs = Patience(), iter(Backoffs(dice=lambda: 1.0))
    longest = max(next(backoffs) for _ in range(20))
    assert patience.watches.silence + patience.watches.longest_wait < 80
    assert patience.watches.silence <= 75
    assert patience.watches.silence + longest < DEAD_AFTER_SECONDS
    assert patience.silence + patience.check < DEAD_AFTER_SECONDS


async def test_stopping_is_prompt_also_while_the_server_is_silent(cluster, caplog):
    """The Lease has to be given back in time."""
    cluster.spoils["/functions"] = Spoil(hangs=True, times=100)
    with caplog.at_level(logging.ERROR):
        async with watched(Patience()):
            await asyncio.sleep(0.5)
            begun = time.monotonic()
    assert time.monotonic() - begun < 3

"""A rolling restart of everything under load: nothing fails, nothing runs twice, environments survive."""

from __future__ import annotations

import itertools
import json
import secrets
import threading
import time
from collections import Counter

import pytest
from driving import eventually
from test_faults import ready_again

COUNTING = """
    import os
    ran = 0
    def handler(event, context):
        global ran
        ran += 1
        with open("/tmp/ran", "a") as log:
            log.write(event["id"] + "\\n") if "id" in event else None
        if event.get("tell"):
            return {"host": os.uname().nodename, "ids": open("/tmp/ran").read().split()}
        return {"id": event["id"], "host": os.uname().nodename}
"""
CALLERS = 4


class Load:
    """Callers that invoke without a pause, each request with an id of its own."""

    def __init__(self, driver, names):
        self.driver, self.names = driver, names
        self.sent, self.answered, self.failures = [], Counter(), []
        self.hosts = set()
        self._done = threading.Event()
        self._numbers = itertools.count()
        self._threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]

    def _call(self):
        while not self._done.is_set():
            number = next(self._numbers)
            name, wanted = self.names[number % len(self.names)], f"{number}-{secrets.token_hex(4)}"
            self.sent.append(wanted)
            try:
                answer = self.driver.client.invoke(FunctionName=name, Payload=json.dumps({"id": wanted}))
                body = json.loads(answer["Payload"].read())
                assert answer.get("FunctionError") is None, body
                self.answered[body["id"]] += 1
                self.hosts.add(body["host"])
            except Exception as error:
                self.failures.append(f"{time.strftime('%X')} {error!r}")

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        for thread in self._threads:
            thread.join()


@pytest.mark.parametrize("component", ["gateway", "codestore", "controller", "all at once"])
def test_a_rolling_restart_under_load_fails_no_request(driver, component):
    """Counted: what was sent was answered, each once, by environments that were there before."""
    names = [driver.function(COUNTING) for _ in range(2)]
    components = ["gateway", "codestore", "controller"] if component == "all at once" else [component]
    with Load(driver, names) as load:
        eventually(lambda: len(load.answered) > 50)
        before = set(load.hosts)
        for each in components:
            _kubectl(driver, "rollout", "restart", f"deployment/{driver.release.name}-{each}")
        for each in components:
            _kubectl(driver, "rollout", "status", f"deployment/{driver.release.name}-{each}", "--timeout=150s")
        # a cold start in the middle of it: code store and controller may just be on their way
        cold = driver.function(COUNTING)
        assert driver.invoke(cold, {"id": "cold"}).json["id"] == "cold"
        answered = len(load.answered)
        eventually(lambda: len(load.answered) > answered + 50)
    for each in components:
        eventually(lambda each=each: ready_again(driver, each), 120)
    assert load.failures == []
    assert len(load.answered) == len(load.sent)
    assert set(load.answered.values()) == {1}
    assert before <= load.hosts
    told = [driver.invoke(name, {"tell": True}).json for name in names]
    ran = Counter(itertools.chain.from_iterable(each["ids"] for each in told))
    assert all(times == 1 for times in ran.values())


def _kubectl(driver, *arguments):
    driver.cluster.run_kubectl(*arguments, "-n", driver.release.namespace)

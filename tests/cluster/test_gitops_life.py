"""The whole life of a function driven from a repository: new code, version, the alias shifts, it goes wrong, it is back.

`kubectl apply` alone, of files that say the same every time they are applied.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from driving import Driver, eventually

GOOD = "def handler(event, context):\n    return {marker!r}\n"
BAD = "def handler(event, context):\n    raise RuntimeError({marker!r})\n"
ROLLOUT = {
    "steps": [{"percentage": 30, "seconds": 3}, {"percentage": 60, "seconds": 3}],
    "alarms": [{"name": "errors", "metric": "ErrorRate", "threshold": 5, "period": 30, "minimumSamples": 3}],
}


@dataclass
class Repository:
    """Two files in a repository, and somebody who applies them."""

    driver: Driver
    function: str
    documents: list[dict[str, Any]] = field(default_factory=list)

    def state(self, source: str, rollout: dict[str, Any] | None = ROLLOUT) -> None:
        """What the files say from now on."""
        spec = {
            "runtime": "python3.11",
            "handler": "index.handler",
            "memorySize": 1024,
            "timeout": 10,
            "publish": True,
            "code": {"inline": source},
        }
        alias = {"functionName": self.function, "latestPublished": True}
        self.documents = [
            self._document("Function", self.function, spec),
            self._document("Alias", f"{self.function}.live", alias | ({"rollout": rollout} if rollout else {})),
        ]

    def apply(self) -> str:
        """`kubectl apply`, as a person or a tool does it; what kubectl says."""
        stdin = "\n---\n".join(json.dumps(each) for each in self.documents)
        return self.driver.cluster.run_kubectl("apply", "-f", "-", stdin=stdin)

    def _document(self, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        metadata = {"name": name, "namespace": self.driver.namespace}
        return {"apiVersion": "lambent.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}

    def alias(self) -> dict[str, Any]:
        return self.driver.cluster.get("fna", f"{self.function}.live", "-n", self.driver.namespace)

    def routing(self) -> dict[str, Any]:
        return dict(self.alias().get("status", {}).get("routing") or {})

    def ready(self) -> tuple[str, str]:
        """Status and reason of Ready, once they are about the present specification."""
        found = self.alias()
        status = found.get("status", {})
        if status.get("observedGeneration") != found["metadata"]["generation"]:
            return "Unknown", ""
        ready = next(one for one in status["conditions"] if one["type"] == "Ready")
        return ready["status"], ready["reason"]

    def versions(self) -> list[str]:
        found = self.driver.cluster.get(
            "fnv", "-n", self.driver.namespace, "--field-selector", f"spec.functionName={self.function}"
        )
        return sorted(one["status"]["version"] for one in found["items"] if one.get("status", {}).get("version"))

    def wait_for(self, version: str) -> None:
        """All of the traffic is at a version, and nothing is going on."""
        eventually(lambda: self.routing() == {"functionVersion": version} and self.ready() == ("True", "Available"))


@pytest.fixture
def repository(driver: Driver) -> Iterator[Repository]:
    name = f"t-{secrets.token_hex(4)}"
    driver.applied.append(name)  # deleted with the others; versions and aliases go with it
    yield Repository(driver, name)


class Load:
    """Requests through the alias, one after the other, and what became of them."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.answers: Counter[tuple[str, str | None]] = Counter()
        """(executed version, function error) → how many."""
        self.failures: list[str] = []
        self.last_bad = 0.0
        """When a request was answered with a function error last, by the monotonic clock."""

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                answer = self._repository.driver.invoke(f"{self._repository.function}:live")
            except Exception as error:
                self.failures.append(repr(error))
                continue
            self.answers[answer.version, answer.error] += 1
            if answer.error:
                self.last_bad = time.monotonic()

    @property
    def versions(self) -> set[str]:
        return {version for version, _ in self.answers}


def test_a_function_lives_from_a_repository(repository: Repository) -> None:
    """Published, shifted step by step, taken back by itself when it fails, and mended by a revert."""
    driver = repository.driver
    repository.state(GOOD.format(marker="one"))
    repository.apply()
    repository.wait_for("1")
    first = driver.invoke(f"{repository.function}:live")
    assert (first.json, first.version) == ("one", "1")

    repository.state(GOOD.format(marker="two"))
    repository.apply()
    with Load(repository) as load:
        eventually(lambda: (repository.alias()["status"].get("rollout") or {}).get("phase") == "AllowTraffic")
        reconciling = [one["type"] for one in repository.alias()["status"]["conditions"] if one["status"] == "True"]
        assert "Reconciling" in reconciling, "kstatus sees it in progress"
        repository.wait_for("2")
    assert load.failures == []
    assert load.versions == {"1", "2"}, "and never a third"
    assert {error for _, error in load.answers} == {None}

    repository.state(BAD.format(marker="three"))
    repository.apply()
    with Load(repository) as load:
        eventually(lambda: repository.ready() == ("False", "RolledBack"))
        settled = time.monotonic()
        eventually(lambda: repository.routing() == {"functionVersion": "2"})
        time.sleep(2)
    assert load.failures == []
    assert load.versions == {"2", "3"}
    assert load.last_bad < settled + 1, "not one more goes to the bad version"
    status = repository.alias()["status"]
    stalled = next(one for one in status["conditions"] if one["type"] == "Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", "RolledBack")
    assert "errors" in stalled["message"], "the alarm's name"
    assert status["history"][0]["phase"] == "RolledBack"

    for _ in range(3):  # the same again changes nothing: no drift, and no second try of what failed
        assert "configured" not in repository.apply()
    time.sleep(3)
    assert repository.ready() == ("False", "RolledBack")
    assert repository.versions() == ["1", "2", "3"]

    repository.state(GOOD.format(marker="two"))  # git revert
    repository.apply()
    with Load(repository) as load:
        repository.wait_for("4")
    assert load.failures == []
    assert load.versions == {"2", "4"}
    assert driver.invoke(f"{repository.function}:live").json == "two"
    assert driver.invoke(f"{repository.function}:1").json == "one", "old versions stay what they were"


def test_nothing_that_people_wrote_is_written_over(repository: Repository) -> None:
    """Spec belongs to whoever applies it, also in the middle of a rollout."""
    repository.state(GOOD.format(marker="one"))
    repository.apply()
    repository.wait_for("1")
    repository.state(GOOD.format(marker="two"))
    repository.apply()
    repository.wait_for("2")
    arguments = ("get", "fna", f"{repository.function}.live", "-n", repository.driver.namespace)
    alias = json.loads(repository.driver.cluster.run_kubectl(*arguments, "-o", "json", "--show-managed-fields"))
    for entry in alias["metadata"]["managedFields"]:
        if entry["manager"].startswith("lambent"):
            assert "f:spec" not in entry["fieldsV1"], entry["manager"]
    assert alias["spec"]["latestPublished"] is True
    assert alias["metadata"]["generation"] == 1

"""Versions, aliases and rollouts from the command line, against the real API server and controller."""

from __future__ import annotations

import json
from typing import Any

import pytest
from driving import Driver, eventually
from test_cli import Shell

from lambent.cli.outcomes import ExitCode

GOOD = "def handler(event, context):\n    return {0!r}\n"
SLOW = ("--strategy", "LambdaCanary10Percent5Minutes")


@pytest.fixture
def shell(driver: Driver, release: Any, token: str) -> Shell:
    """`token` makes the service account `tester`, who may invoke."""
    return Shell(release, driver.namespace)


@pytest.fixture
def function(driver: Driver) -> str:
    return driver.function(GOOD.format("one"))


def published(shell: Shell, function: str) -> str:
    done = shell.run("publish", function)
    assert done.code == 0, done.err
    return done.out.decode().strip()


def change(driver: Driver, function: str, marker: str) -> None:
    driver.function(GOOD.format(marker), function)


def test_publishing_gives_a_number_and_what_has_not_changed_has_one_already(
    driver: Driver, shell: Shell, function: str
) -> None:
    assert published(shell, function) == "1"
    again = shell.run("publish", function)
    assert (again.code, again.out) == (0, b"1\n")
    assert again.err, "it says that nothing had changed"
    change(driver, function, "two")
    assert published(shell, function) == "2"
    shown = shell.run("versions", function)
    assert shown.code == 0, shown.err
    rows = [line.split() for line in shown.out.decode().splitlines()]
    assert rows[0][0] == "VERSION"
    assert {row[0] for row in rows[1:]} == {"$LATEST", "1", "2"}
    objects = driver.cluster.get("fnv", "-n", driver.namespace, "--field-selector", f"spec.functionName={function}")
    assert len(objects["items"]) == 2, "the object that published nothing is gone again"


def test_a_precondition_is_refused_in_lambdas_words(driver: Driver, shell: Shell, function: str) -> None:
    refused = shell.run("publish", function, "--code-sha256", "A" * 43 + "=")
    assert refused.code != 0
    assert "is different from current CodeSHA256 in $LATEST" in refused.err
    objects = driver.cluster.get("fnv", "-n", driver.namespace, "--field-selector", f"spec.functionName={function}")
    assert objects["items"] == []


def test_an_alias_is_set_moved_and_invoked(driver: Driver, shell: Shell, function: str) -> None:
    published(shell, function)
    change(driver, function, "two")
    published(shell, function)
    done = shell.run("alias", "set", function, "live", "1", "--wait")
    assert done.code == 0, done.err
    assert shell.invoke(f"{function}:live", "{}").out == b'"one"'
    done = shell.run("alias", "set", function, "live", "2", "--wait")
    assert done.code == 0, done.err
    eventually(lambda: shell.invoke(f"{function}:live", "{}").out == b'"two"')
    weighted = shell.run("alias", "set", f"{function}:live", "2", "--weight", "1=50%", "--wait")
    assert weighted.code == 0, weighted.err
    listed = shell.run("alias", "list", function)
    assert "live" in listed.out.decode()
    assert "50%" in listed.out.decode()
    missing = shell.run("alias", "set", function, "live", "7")
    assert missing.code != 0
    assert "7" in missing.err
    deleted = shell.run("alias", "delete", function, "live")
    assert deleted.code == 0, deleted.err


def test_a_rollout_is_followed_paused_resumed_and_aborted(driver: Driver, shell: Shell, function: str) -> None:
    """Five minutes are not waited for: a person ends it."""
    published(shell, function)
    assert shell.run("alias", "set", function, "live", "1", *SLOW, "--wait").code == 0
    change(driver, function, "two")
    published(shell, function)
    assert shell.run("alias", "set", function, "live", "2", *SLOW).code == 0

    def rollout() -> dict[str, Any]:
        shown = shell.run("rollout", "status", function, "live", "-o", "json")
        return json.loads(shown.out) if shown.code == 0 and shown.out.strip() else {}

    eventually(lambda: rollout().get("phase") == "AllowTraffic")
    text = shell.run("rollout", "status", function, "live").out.decode()
    assert "10%" in text
    assert shell.run("rollout", "pause", f"{function}:live").code == 0
    eventually(lambda: rollout().get("paused") is True)
    assert shell.run("rollout", "resume", f"{function}:live").code == 0
    eventually(lambda: not rollout().get("paused"))
    aborted = shell.run("rollout", "abort", function, "live")
    assert aborted.code == 0, aborted.err
    assert rollout()["phase"] == "Stopped"
    alias = driver.cluster.get("fna", f"{function}.live", "-n", driver.namespace)
    assert alias["status"]["routing"] == {"functionVersion": "1"}
    assert "lambent.dev/rollout" not in (alias["metadata"].get("annotations") or {})
    assert shell.run("rollout", "abort", function, "live").code == ExitCode.NOT_READY, "nothing is going on any more"


def test_a_rollout_is_promoted(driver: Driver, shell: Shell, function: str) -> None:
    published(shell, function)
    assert shell.run("alias", "set", function, "live", "1", *SLOW, "--wait").code == 0
    change(driver, function, "two")
    published(shell, function)
    assert shell.run("alias", "set", function, "live", "2", *SLOW).code == 0
    eventually(lambda: b"AllowTraffic" in shell.run("rollout", "status", function, "live", "-o", "json").out)
    promoted = shell.run("rollout", "promote", function, "live")
    assert promoted.code == 0, promoted.err
    alias = driver.cluster.get("fna", f"{function}.live", "-n", driver.namespace)
    assert alias["status"]["routing"] == {"functionVersion": "2"}

"""`lambent rollout`: where an alias is, how it ended, and what is asked of the controller."""

from __future__ import annotations

import json
import threading

import pytest

from lambent.cli import rollouts
from lambent.cli.outcomes import ExitCode

ALIASES = "/apis/lambent.dev/v1alpha1/namespaces/default/aliases"
ANNOTATION = "lambent.dev/rollout"
NOW = rollouts._moment("2026-01-01T00:02:00Z")
ROLLING = {
    "deploymentId": "d-ABCDEFGHI",
    "fromVersion": "1",
    "toVersion": "2",
    "generation": 1,
    "strategy": "LambdaLinear10PercentEvery1Minute",
    "steps": [{"percentage": 10, "seconds": 60}, {"percentage": 20, "seconds": 300}],
    "phase": "AllowTraffic",
    "step": 2,
    "startedAt": "2026-01-01T00:00:00Z",
    "stepStartedAt": "2026-01-01T00:00:30Z",
}
OVER = {"finishedAt": "2026-01-01T00:01:00Z"}
SUCCEEDED = {**ROLLING, **OVER, "phase": "Succeeded", "step": 3}
ROLLED_BACK = {**ROLLING, **OVER, "phase": "RolledBack", "reason": "Alarm", "message": "errors: 12 > 5"}
STOPPED = {**ROLLING, **OVER, "phase": "Stopped", "reason": "Aborted", "message": "by a person"}
STALLED = [
    {"type": "Ready", "status": "False", "reason": "RolledBack", "message": "errors: 12 > 5"},
    {"type": "Stalled", "status": "True", "reason": "RolledBack", "message": "errors: 12 > 5"},
]


@pytest.fixture
def hello(cluster):
    return cluster.function("hello")


@pytest.fixture
def rolling(cluster, hello):
    return cluster.alias(hello, "live", "1", weights={"2": 0.2}, status={"rollout": ROLLING})


def told(rollout, **alias):
    """The story of an alias with this rollout, its lines by their heads."""
    body = {
        "metadata": {"name": "hello.live", "generation": 1, **alias.pop("metadata", {})},
        "spec": {"functionName": "hello", **alias.pop("spec", {})},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "rollout": rollout, **alias},
    }
    return rollouts.story(body, NOW)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "Step:      step 2/2, 20% to 2, for 1m30s, 3m30s left"),
        ({"step": 0, "phase": "BeforeAllowTraffic"}, "Step:      no traffic to 2 yet"),
        ({"step": 3}, "Step:      100% to 2, for 1m30s, 8m30s left"),
        ({"heldSince": "2026-01-01T00:01:00Z", "paused": True}, "Waits:     paused since 2026-01-01T00:01:00Z"),
        (
            {"heldSince": "2026-01-01T00:01:00Z", "reason": "RolloutHeld", "message": "no answer"},
            "Waits:     held since 2026-01-01T00:01:00Z: RolloutHeld: no answer",
        ),
        ({"heldSince": "2026-01-01T00:01:00Z"}, "Step:      step 2/2, 20% to 2, for 30s, 4m30s left"),
        ({"promoted": True}, "Promoted:  the rest of its steps are skipped"),
        (
            {"hooks": [{"lifecycleEvent": "BeforeAllowTraffic", "functionName": "check", "state": "Succeeded"}]},
            "Hook:      BeforeAllowTraffic check: Succeeded",
        ),
        (
            {"alarms": [{"name": "errors", "state": "OK", "message": "1 of 5"}]},
            "Alarm:     errors: OK (1 of 5)",
        ),
        (
            {**OVER, "phase": "RolledBack", "reason": "Alarm", "message": "12 > 5"},
            "Ended:     2026-01-01T00:01:00Z, Alarm: 12 > 5",
        ),
    ],
)
def test_a_status_says_where_the_rollout_is(changes, line):
    """Time stands still while it is held."""
    lines = told({**ROLLING, **changes}, spec={"rollout": {"bakeSeconds": 600}}).splitlines()
    head = line.partition(":")[0]
    assert [" ".join(each.split()) for each in lines if each.startswith(head)] == [" ".join(line.split())]


def test_a_status_is_printed_as_one_page(cluster, hello, cli):
    """Versions and shares in force, the rollout, and the ones before it."""
    past = {key: STOPPED[key] for key in ("fromVersion", "toVersion", "phase", "finishedAt", "reason", "message")}
    history = [{"deploymentId": "d-ABCDEFGHI", **past}, {"deploymentId": "d-BEFORE123", **past}]
    status = {"rollout": SUCCEEDED, "history": history, "routing": {"functionVersion": "2"}}
    cluster.alias(hello, "live", status=status)
    done = cli("rollout", "status", "hello", "live")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "Alias:     hello:live\n"
        "Traffic:   2\n"
        "Rollout:   d-ABCDEFGHI, 1 -> 2, LambdaLinear10PercentEvery1Minute\n"
        "Phase:     Succeeded\n"
        "Ended:     2026-01-01T00:01:00Z\n"
        "\n"
        "BEFORE        VERSIONS   PHASE     FINISHED               REASON\n"
        "d-BEFORE123   1 -> 2     Stopped   2026-01-01T00:01:00Z   Aborted: by a person\n"
    )


@pytest.mark.parametrize(("given", "printed"), [(ROLLING, ROLLING), (None, None)], ids=["one", "none"])
def test_output_json_is_the_rollout_of_the_status(cluster, hello, cli, given, printed):
    """Null when there was none."""
    cluster.alias(hello, "live", status={"rollout": given} if given else {})
    assert json.loads(cli("rollout", "status", "hello:live", "-o", "json").out) == printed


def test_an_alias_that_never_moved_says_so(cluster, hello, cli):
    """Without failing."""
    cluster.alias(hello, "live")
    assert "Rollout:   none so far\n" in cli("rollout", "status", "hello", "live").out


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        pytest.param(SUCCEEDED, 0, "hello:live, 1 -> 2: Succeeded", id="Succeeded is 0"),
        pytest.param(ROLLED_BACK, 1, "hello:live, 1 -> 2: RolledBack: Alarm: errors: 12 > 5", id="RolledBack is 1"),
        pytest.param(STOPPED, 1, "hello:live, 1 -> 2: Stopped: Aborted: by a person", id="Stopped is 1"),
    ],
)
def test_watching_prints_each_change_until_the_rollout_ends(cluster, rolling, cli, end, code, said):
    """The same line is not printed twice; how it ended is the exit code."""

    def later():
        wait_for_watch(cluster)
        cluster.alter(rolling, status={"environments": 1})
        cluster.alter(rolling, status={"rollout": {**ROLLING, "step": 3}})
        cluster.alter(rolling, status={"rollout": end})

    threading.Thread(target=later).start()
    done = cli("rollout", "status", "hello", "live", "--watch")
    lines = (done.out + done.err.removeprefix("error: ")).splitlines()
    head = "d-ABCDEFGHI, 1 -> 2: AllowTraffic; "
    assert done.code == code
    assert lines[-3:] == [f"{head}step 2/2, 20% to 2", f"{head}100% to 2", said]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        pytest.param({"rollout": SUCCEEDED}, 0, id="what succeeded"),
        pytest.param({"rollout": ROLLED_BACK, "conditions": STALLED}, 1, id="what came back"),
        pytest.param(
            {"rollout": {**ROLLED_BACK, "generation": 0}}, 0, id="what came back before the specification changed"
        ),
        pytest.param({}, 0, id="what moved at once"),
        pytest.param({"conditions": STALLED}, 1, id="what is stalled without a rollout"),
    ],
)
def test_watching_what_is_over_ends_at_once(cluster, hello, cli, status, code):
    """By what became of the present specification."""
    cluster.alias(hello, "live", status=status)
    assert cli("rollout", "status", "hello", "live", "-w").code == code


def test_a_rollout_that_is_superseded_is_followed_by_the_next(cluster, rolling, cli):
    """The exit code is the last one's."""
    following = {**ROLLING, "deploymentId": "d-NEXT12345", "toVersion": "3", "generation": 2}
    past = {**ROLLING, **OVER, "phase": "Superseded"}

    def later():
        wait_for_watch(cluster)
        cluster.alter(rolling, status={"rollout": following, "history": [past], "observedGeneration": 2}, generation=2)
        cluster.alter(rolling, status={"rollout": {**following, **OVER, "phase": "Succeeded"}})

    threading.Thread(target=later).start()
    done = cli("rollout", "status", "hello", "live", "-w")
    assert (done.code, done.out.splitlines()[-1]) == (0, "hello:live, 1 -> 3: Succeeded")


def test_watching_ends_when_the_time_is_over(rolling, cli):
    """Exit code 6; the rollout goes on."""
    done = cli("rollout", "status", "hello", "live", "-w", "--timeout", "100ms")
    assert done.code == ExitCode.UNREACHABLE
    assert "not over within 0.1 s: d-ABCDEFGHI, 1 -> 2: AllowTraffic; step 2/2, 20% to 2" in done.err


def test_an_alias_that_is_deleted_is_no_longer_watched(cluster, rolling, cli):
    """Exit code 4."""

    def later():
        wait_for_watch(cluster)
        cluster.remove(f"{ALIASES}/hello.live")

    threading.Thread(target=later).start()
    done = cli("rollout", "status", "hello", "live", "-w")
    assert (done.code, done.err) == (ExitCode.NOT_FOUND, "error: somebody deleted the Alias hello.live\n")


# --- steering --------------------------------------------------------------------------------------------------------


def annotation(cluster):
    return (cluster.objects[f"{ALIASES}/hello.live"]["metadata"].get("annotations") or {}).get(ANNOTATION)


def doing(cluster, wanted, **status):
    """A controller that does what is asked and takes the annotation away."""

    def write(path, body):
        if body["metadata"].get("annotations", {}).get(ANNOTATION) == wanted:
            cluster.alter(body, status=status)
            cluster.alter(body, annotations={ANNOTATION: None})

    cluster.controller = write


@pytest.mark.parametrize("words", [("hello", "live"), ("hello:live",)])
def test_pausing_and_resuming_set_and_remove_the_annotation(cluster, rolling, cli, words):
    """The specification is not touched."""
    before = rolling["spec"]
    assert cli("rollout", "pause", *words).out == "alias.lambent.dev/hello.live paused\n"
    assert annotation(cluster) == "pause"
    assert cli("rollout", "pause", *words).err == "the rollout of hello:live is paused already\n"
    assert cli("rollout", "resume", *words).out == "alias.lambent.dev/hello.live resumed\n"
    assert annotation(cluster) is None
    assert cluster.objects[f"{ALIASES}/hello.live"]["spec"] == before


def test_a_pause_that_was_left_over_is_resumed_without_a_rollout(cluster, hello, cli):
    """Or none would ever begin."""
    cluster.alias(hello, "live", annotations={ANNOTATION: "pause"})
    assert cli("rollout", "resume", "hello", "live").code == 0
    assert annotation(cluster) is None


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ({}, ""),
        ({"rollout": SUCCEEDED}, "; hello:live, 1 -> 2: Succeeded"),
        ({"rollout": STOPPED}, "; hello:live, 1 -> 2: S"),
    ],
    ids=["never", "succeeded", "stopped"],
)
@pytest.mark.parametrize("command", ["pause", "resume", "promote", "abort"])
def test_without_a_rollout_in_progress_nothing_is_asked(cluster, hello, cli, command, status, outcome):
    """Exit code 8, and how the last one ended."""
    cluster.alias(hello, "live", status=status)
    done = cli("rollout", command, "hello", "live")
    assert (done.code, done.out) == (ExitCode.NOT_READY, "")
    assert done.err.startswith(f"error: no rollout of hello:live is in progress{outcome}")
    assert "see: lambent -n default rollout status hello live" in done.err
    assert annotation(cluster) is None


def test_resuming_what_is_not_paused_is_refused(rolling, cli):
    """Exit code 8."""
    done = cli("rollout", "resume", "hello", "live")
    assert (done.code, done.err.splitlines()[0]) == (8, "error: the rollout of hello:live is not paused")


def test_a_pause_does_not_take_the_place_of_an_abort(cluster, hello, cli):
    """The controller may not have seen it yet."""
    cluster.alias(hello, "live", status={"rollout": ROLLING}, annotations={ANNOTATION: "abort"})
    for command in ("pause", "resume"):
        assert cli("rollout", command, "hello", "live").code == ExitCode.NOT_READY
    assert annotation(cluster) == "abort"


def test_a_resume_does_not_take_away_an_abort_that_comes_in_between(cluster, hello, cli):
    """The object has changed since it was read; the patch names what was read."""
    body = cluster.alias(hello, "live", status={"rollout": ROLLING}, annotations={ANNOTATION: "pause"})

    class Requests(list):
        def append(self, asked):
            super().append(asked)
            if asked.method == "PATCH" and len([each for each in self if each.method == "PATCH"]) == 1:
                cluster.alter(body, annotations={ANNOTATION: "abort"})

    cluster.requests = Requests()
    done = cli("rollout", "resume", "hello", "live")
    assert done.code == ExitCode.NOT_READY
    assert "was asked for something else meanwhile" in done.err
    assert annotation(cluster) == "abort"


def test_aborting_waits_until_the_traffic_is_back(cluster, rolling, cli):
    """The result is said, and the annotation gone."""
    doing(cluster, "abort", rollout=STOPPED)
    done = cli("rollout", "abort", "hello", "live")
    assert (done.code, done.out) == (0, "alias.lambent.dev/hello.live aborted\n")
    assert done.err.splitlines()[-1] == "hello:live, 1 -> 2: Stopped: Aborted: by a person"
    assert annotation(cluster) is None


@pytest.mark.parametrize(
    ("status", "last"),
    [
        pytest.param({**ROLLING, "promoted": True, "step": 3}, "AllowTraffic; 100% to 2", id="on its way"),
        pytest.param(SUCCEEDED, "hello:live, 1 -> 2: Succeeded", id="there"),
    ],
)
def test_promoting_waits_until_the_controller_has_done_it(cluster, rolling, cli, status, last):
    """What comes after it (a hook) is not waited for."""
    doing(cluster, "promote", rollout=status)
    done = cli("rollout", "promote", "hello", "live")
    assert (done.code, done.out) == (0, "alias.lambent.dev/hello.live promoted\n")
    assert done.err.splitlines()[-1].endswith(last)


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        pytest.param("abort", {"rollout": SUCCEEDED}, "1 -> 2: Succeeded", id="an abort that came too late"),
        pytest.param("promote", {"rollout": ROLLED_BACK}, "RolledBack: Alarm", id="a promotion that came too late"),
        pytest.param("abort", {}, "somebody took the annotation away", id="an abort that somebody took away"),
        pytest.param(
            "abort",
            {"rollout": {**ROLLING, "deploymentId": "d-NEXT12345"}},
            "is forgotten",
            id="a rollout that is forgotten",
        ),
    ],
)
def test_what_was_asked_for_and_did_not_happen_is_exit_code_1(cluster, rolling, cli, command, status, said):
    """With what happened instead."""
    doing(cluster, command, **status)
    done = cli("rollout", command, "hello", "live")
    assert (done.code, done.out) == (ExitCode.FUNCTION_FAILED, "")
    assert said in done.err


def test_a_controller_that_does_nothing_is_waited_for_so_long(cluster, rolling, cli):
    """Exit code 6; the request stays."""
    done = cli("rollout", "abort", "hello", "live", "--timeout", "100ms")
    assert (done.code, done.out) == (ExitCode.UNREACHABLE, "")
    assert "not over within 0.1 s" in done.err
    assert annotation(cluster) == "abort"


def test_without_waiting_the_request_is_all(cluster, rolling, cli):
    """Nothing is watched."""
    done = cli("rollout", "promote", "hello", "live", "--no-wait")
    assert (done.code, done.out) == (0, "alias.lambent.dev/hello.live asked to promote\n")
    assert annotation(cluster) == "promote"


def test_who_may_not_patch_is_told_in_the_servers_words(cluster, rolling, cli):
    """Exit code 5."""
    cluster.refuse("PATCH", "aliases/", 403, message="aliases.lambent.dev is forbidden")
    done = cli("rollout", "abort", "hello", "live")
    assert (done.code, done.out, done.err) == (ExitCode.DENIED, "", "error: aliases.lambent.dev is forbidden\n")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("status", "hello"), 2),
        (("status", "hello", "live", "x"), 2),
        (("status", "hello", "live", "-w", "-o", "json"), 2),
        (("status", "hello", "live", "--timeout", "1m"), 2),
        (("status", "hello", "nope"), 4),
        (("abort", "hello", "nope"), 4),
        (("abort", "nope", "live"), 4),
        (("abrt", "hello", "live"), 2),
    ],
)
def test_mistakes_have_their_exit_codes(rolling, cli, arguments, code):
    """Usage or not found; nothing is on standard output."""
    done = cli("rollout", *arguments)
    assert (done.code, done.out) == (code, "")


def wait_for_watch(cluster):
    import time

    deadline = time.monotonic() + 60
    while not any(asked.query.get("watch") for asked in cluster.requests):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_alias_that_is_where_it_was_to_be_is_not_called_unready():
    """For a moment, before the controller takes away what was asked by annotation."""
    ready = {"type": "Ready", "status": "True", "reason": "Available", "message": "version 2 has all of the traffic"}
    alias = {
        "metadata": {"name": "hello.live", "generation": 1},
        "spec": {"functionName": "hello"},
        "status": {"observedGeneration": 1, "routing": {"functionVersion": "2"}, "conditions": [ready]},
    }
    assert rollouts.waiting(alias) == "hello:live is at 2"

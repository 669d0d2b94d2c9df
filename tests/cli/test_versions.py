"""`lambent versions` and `lambent publish`: what is published, and publishing more."""

from __future__ import annotations

import json
import signal
import threading

import pytest
import yaml

from lambent.cli.outcomes import ExitCode

VERSIONS = "/apis/lambent.dev/v1alpha1/namespaces/default/versions"
DUPLICATE = {"type": "Duplicate", "status": "True", "reason": "Unchanged", "message": "equals version 1"}
READY = {"type": "Ready", "status": "True", "reason": "Available", "message": ""}


@pytest.fixture
def hello(cluster):
    return cluster.function("hello")


@pytest.fixture
def three(cluster, hello):
    """Versions 1 to 3 and 10, one of them twice, one without a number; aliases with and without weights."""
    for number in ("1", "2", "3"):
        cluster.published(hello, number, conditions=[READY], referenced_by=["live"] if number in "12" else [])
    cluster.published(hello, "2", "again", conditions=[DUPLICATE], creationTimestamp="2026-01-05T00:00:00Z")
    wrong = {"type": "Ready", "status": "False", "reason": "PreconditionFailed", "message": "not that revision"}
    cluster.published(hello, None, "refused", conditions=[wrong])
    cluster.published(cluster.function("other"), "7")
    cluster.published(hello, "8", "of-a-deleted-one", owner="another-uid")
    cluster.alias(hello, "live", "1", weights={"2": 0.1})
    cluster.alias(hello, "dev", "$LATEST")


TABLE = [
    ["VERSION", "PUBLISHED", "ALIASES", "READY", "ENVS", "DESCRIPTION"],
    ["$LATEST", "-", "dev", "True", "0"],
    ["1", "2026-01-01T00:00:00Z", "live (90%)", "True", "2", "text 1"],
    ["2", "2026-01-02T00:00:00Z", "live (10%)", "True", "2", "text 2"],
    ["3", "2026-01-03T00:00:00Z", "-", "True", "2", "text 3"],
]


def cells(out):
    import re

    return [re.split(r" {3,}", line) for line in out.splitlines()]


@pytest.mark.parametrize("selectable", [True, False], ids=["selected by the server", "selected here: Kubernetes 1.30"])
def test_versions_are_listed_once_with_latest_first_and_the_shares_of_aliases(cluster, three, cli, selectable):
    """Not those of another function, nor of a deleted one of this name; one without a number is told of."""
    cluster.selectable_fields = selectable
    done = cli("versions", "hello")
    assert (done.code, cells(done.out)) == (0, TABLE)
    assert done.err == "refused has no number: PreconditionFailed: not that revision\n"


def test_versions_are_in_the_order_of_their_numbers(cluster, hello, cli):
    """10 after 9, not after 1."""
    for number in ("10", "9", "1"):
        cluster.published(hello, number)
    assert [row[0] for row in cells(cli("versions", "hello").out)] == ["VERSION", "$LATEST", "1", "9", "10"]


def test_wide_shows_digests_and_the_object(three, cli):
    """The object is what kubectl takes."""
    done = cells(cli("versions", "hello", "-o", "wide").out)
    assert done[0][-3:] == ["CODESHA256", "REVISION", "OBJECT"]
    assert done[2][-3:] == ["sha-1", "rev-1", "version.lambent.dev/hello.1"]


def test_names_and_documents_are_of_the_version_objects(three, cli):
    """Of the object that holds the number, where several have it."""
    names = [f"version.lambent.dev/hello.{number}" for number in (1, 2, 3)]
    assert cli("versions", "hello", "-o", "name").out.splitlines() == names
    items = json.loads(cli("versions", "hello", "-o", "json").out)["items"]
    assert [(item["kind"], item["status"]["version"]) for item in items] == [("Version", n) for n in "123"]
    assert yaml.safe_load(cli("versions", "hello", "-o", "yaml").out)["kind"] == "List"


def test_lambdas_name_is_understood(cluster, cli):
    """`spec.functionName` need not be the object's name."""
    cluster.published(cluster.function("object", function_name="My_Func"), "1")
    assert [row[0] for row in cells(cli("versions", "My_Func").out)] == ["VERSION", "$LATEST", "1"]


def test_who_may_not_list_aliases_sees_versions_and_who_refers_to_them(cluster, three, cli):
    """From the version's own status; the shares are not known."""
    cluster.refuse("GET", "aliases$", 403, message="aliases.lambent.dev is forbidden")
    done = cli("versions", "hello")
    assert (done.code, [row[2] for row in cells(done.out)[1:]]) == (0, ["-", "live", "live", "-"])
    assert "aliases.lambent.dev is forbidden" in done.err


def test_an_alias_that_refers_to_a_version_and_sends_it_nothing_is_listed(cluster, hello, cli):
    """A rollout that has not begun."""
    cluster.published(hello, "1", referenced_by=["live"])
    assert cells(cli("versions", "hello").out)[2][2] == "live"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("versions", "helo"), ExitCode.NOT_FOUND, "did you mean hello?"),
        (("versions", "xyzzy"), ExitCode.NOT_FOUND, "lambent get --all-namespaces"),
        (("versions", "hello:3"), ExitCode.USAGE, "'3' is too much"),
        (("versions",), ExitCode.USAGE, "Missing argument 'FUNCTION'"),
        (("publish", "xyzzy"), ExitCode.NOT_FOUND, "there is no function 'xyzzy'"),
        (("publish", "hello", "--timeout", "soon"), ExitCode.USAGE, "no duration"),
    ],
)
def test_mistakes_are_told_with_what_helps(hello, cli, arguments, code, said):
    """Nothing is on standard output."""
    done = cli(*arguments)
    assert (done.code, done.out) == (code, "")
    assert said in done.err


# --- publish ---------------------------------------------------------------------------------------------------------


def answering(cluster, **status):
    """A controller that writes this status on what is published."""

    def write(path, body):
        if path in cluster.objects and "/versions/" in path and not body.get("status"):
            cluster.alter(body, status=status)

    cluster.controller = write


def left_over(cluster):
    return [path for path in cluster.objects if "/versions/" in path]


PUBLISHED = {"version": "4", "snapshot": {"revision": "r"}}


def test_publishing_prints_the_number_alone(cluster, hello, cli):
    """What was asked for is in the object, which is named after the function's and labelled."""
    answering(cluster, **PUBLISHED)
    done = cli("publish", "hello", "--description", "new", "--code-sha256", "a" * 43 + "=", "--revision-id", "r1")
    assert (done.code, done.out, done.err) == (0, "4\n", "")
    made = next(asked for asked in cluster.requests if asked.method == "POST")
    assert (made.path, made.query) == (VERSIONS, {"fieldManager": "lambent-cli"})
    assert made.json["metadata"] == {"generateName": "hello-", "labels": {"lambent.dev/published-by": "cli"}}
    assert made.json["spec"] == {
        "functionName": "hello",
        "description": "new",
        "codeSha256": "a" * 43 + "=",
        "revisionId": "r1",
    }
    assert len(left_over(cluster)) == 1


def test_what_was_not_said_is_not_in_the_object(cluster, cli):
    """So that defaults are the server's; the function is named by Lambda's name."""
    cluster.function("object", function_name="My_Func")
    answering(cluster, **PUBLISHED)
    assert cli("publish", "My_Func").out == "4\n"
    made = next(asked for asked in cluster.requests if asked.method == "POST").json
    assert (made["metadata"]["generateName"], made["spec"]) == ("object-", {"functionName": "My_Func"})


def test_publishing_what_has_not_changed_prints_the_version_there_is_and_leaves_no_object(cluster, hello, cli):
    """The number on standard output, the reason on standard error."""
    answering(cluster, **PUBLISHED, conditions=[DUPLICATE])
    done = cli("publish", "hello")
    assert (done.code, done.out) == (0, "4\n")
    assert done.err == "nothing has changed since version 4 of hello: none was published\n"
    assert left_over(cluster) == []


def test_a_duplicate_that_cannot_be_deleted_is_told_of_and_the_number_is_printed(cluster, hello, cli):
    """Who may create need not be allowed to delete."""
    cluster.refuse("DELETE", "versions/", 403, message="cannot delete")
    answering(cluster, **PUBLISHED, conditions=[DUPLICATE])
    done = cli("publish", "hello")
    assert (done.code, done.out) == (0, "4\n")
    assert "is left over: cannot delete" in done.err


def test_a_refused_precondition_is_exit_code_1_with_lambdas_words_and_no_object(cluster, hello, cli):
    """Nothing is on standard output."""
    words = "The Revision Id provided does not match the latest Revision Id."
    answering(
        cluster,
        conditions=[
            {"type": "Ready", "status": "False", "reason": "PreconditionFailed", "message": words},
            {"type": "Stalled", "status": "True", "reason": "PreconditionFailed", "message": words},
        ],
    )
    done = cli("publish", "hello", "--revision-id", "old")
    assert (done.code, done.out) == (ExitCode.FUNCTION_FAILED, "")
    assert done.err == f"error: not published: PreconditionFailed: {words}\n"
    assert left_over(cluster) == []


def test_what_it_waits_for_is_said_once(cluster, hello, cli):
    """A watch tells of each step; the same words are not said again."""
    waiting = {"type": "Ready", "status": "False", "reason": "FunctionNotReady", "message": "code is fetched"}

    def write(path, body):
        if "/versions/" in path and not body.get("status"):
            cluster.alter(body, status={"conditions": [waiting]})
            threading.Thread(target=later, args=(body,)).start()

    def later(body):
        wait_for_watch(cluster)
        cluster.alter(body, status={"environments": 0})
        cluster.alter(body, status=PUBLISHED)

    cluster.controller = write
    done = cli("publish", "hello")
    assert (done.code, done.out, done.err) == (0, "4\n", "waiting: FunctionNotReady: code is fetched\n")


def test_no_number_in_time_is_exit_code_6_and_says_how_to_take_it_back(cluster, hello, cli):
    """The object stays: it is published when that is possible."""
    waiting = {"type": "Ready", "status": "False", "reason": "FunctionNotReady", "message": "code is fetched"}
    answering(cluster, conditions=[waiting])
    done = cli("publish", "hello", "--timeout", "200ms")
    name = left_over(cluster)[0].rsplit("/", 1)[1]
    assert (done.code, done.out) == (ExitCode.UNREACHABLE, "")
    assert f"got no number within 0.2 s (FunctionNotReady: code is fetched)\nthe Version {name} stays" in done.err
    assert f"kubectl -n default delete versions.lambent.dev {name}" in done.err


def test_a_version_that_somebody_deletes_is_no_longer_waited_for(cluster, hello, cli):
    """With exit code 4."""
    cluster.controller = lambda path, body: cluster.remove(path) if path in cluster.objects else None
    done = cli("publish", "hello")
    assert (done.code, done.out) == (ExitCode.NOT_FOUND, "")
    assert "somebody deleted the Version" in done.err


def test_without_waiting_the_objects_name_is_printed(cluster, hello, cli):
    """As kubectl names it."""
    done = cli("publish", "hello", "--no-wait")
    assert (done.code, done.out.startswith("version.lambent.dev/hello-"), done.err) == (0, True, "")


def test_who_may_not_publish_is_told_in_the_servers_words(cluster, hello, cli):
    """Exit code 5."""
    cluster.refuse("POST", "versions$", 403, message="versions.lambent.dev is forbidden")
    done = cli("publish", "hello")
    assert (done.code, done.err) == (ExitCode.DENIED, "error: versions.lambent.dev is forbidden\n")


def test_ctrl_c_says_what_becomes_of_the_version(cluster, hello, process):
    """Exit code 130."""
    started = process("publish", "hello")
    wait_for_watch(cluster)
    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=60)
    assert (started.returncode, out) == (ExitCode.INTERRUPTED, b"")
    assert b"interrupted; the Version hello-" in err
    assert b"kubectl -n default delete versions.lambent.dev hello-" in err


def wait_for_watch(cluster):
    import time

    deadline = time.monotonic() + 60
    while not any(asked.query.get("watch") for asked in cluster.requests):
        assert time.monotonic() < deadline
        time.sleep(0.01)

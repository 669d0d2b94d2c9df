"""`lambent logs`: all environments, in order; following them as they come and go."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from lambent.cli.following import Environments
from lambent.cli.outcomes import ExitCode


def stamped(second, *texts):
    """Lines as the API server prints them with timestamps, from this second on."""
    return [f"2026-01-01T00:00:{second + i:02}.5Z {text}" for i, text in enumerate(texts)]


@pytest.fixture
def function(cluster):
    return cluster.function("hello")


@pytest.fixture
def two(cluster, function):
    """Two environments whose lines alternate."""
    cluster.environment("hello-x-aaaaa", function, [*stamped(1, "a1"), *stamped(3, "a3")])
    cluster.environment(
        "hello-x-bbbbb", function, [*stamped(2, "b2"), *stamped(4, "b4\rwith a\rtraceback")], phase="Succeeded"
    )
    cluster.environment("other-x-ccccc", cluster.function("other"), stamped(1, "not mine"))


@pytest.mark.parametrize(
    ("arguments", "out"),
    [
        ((), "a1\nb2\na3\nb4\nwith a\ntraceback\n"),
        (("--tail", "2"), "a3\nb4\nwith a\ntraceback\n"),
        (("--tail", "0"), ""),
        (("--tail", "-1"), "a1\nb2\na3\nb4\nwith a\ntraceback\n"),
        (("--previous",), "b2\nb4\nwith a\ntraceback\n"),
        (
            ("--prefix", "--timestamps", "--tail", "2"),
            "[aaaaa] 2026-01-01T00:00:03.5Z a3\n[bbbbb] 2026-01-01T00:00:04.5Z b4\n"
            "[bbbbb] 2026-01-01T00:00:04.5Z with a\n[bbbbb] 2026-01-01T00:00:04.5Z traceback\n",
        ),
    ],
)
def test_lines_of_all_environments_come_in_the_order_of_time(two, cli, arguments, out):
    """Also of environments that have ended; nobody else's."""
    done = cli("logs", "hello", *arguments)
    assert (done.code, done.out, done.err) == (0, out, "")


def test_since_is_the_kubelets_to_judge(cluster, two, cli):
    """In seconds."""
    cli("logs", "hello", "--since", "5m")
    asked = [each for each in cluster.requests if each.path.endswith("/log")]
    assert {each.query["sinceSeconds"] for each in asked} == {"300"}
    assert {each.query["container"] for each in asked} == {"environment"}


def test_lambdas_name_is_understood(cluster, cli):
    """`spec.functionName` need not be the object's name."""
    cluster.environment("object-x-aaaaa", cluster.function("object", function_name="My_Func"), stamped(1, "hi"))
    assert cli("logs", "My_Func").out == "hi\n"


def test_one_requests_lines_are_those_from_its_start_to_its_report(cluster, function, cli):
    """Of one environment, whatever the others do meanwhile."""
    mine = [
        "START RequestId: r-2 Version: $LATEST",
        "hi",
        "END RequestId: r-2",
        "REPORT RequestId: r-2\tDuration: 1 ms",
    ]
    cluster.environment(
        "hello-x-aaaaa", function, stamped(1, "START RequestId: r-1 ", "no", "REPORT RequestId: r-1", *mine, "no")
    )
    cluster.environment("hello-x-bbbbb", function, stamped(1, *["no"] * 9))
    done = cli("logs", "hello", "--request-id", "r-2")
    assert (done.code, done.out.splitlines()) == (0, mine)


def test_a_request_that_left_no_line_is_not_found(two, cli):
    """With exit code 4."""
    done = cli("logs", "hello", "--request-id", "r-9")
    assert (done.code, done.out) == (ExitCode.NOT_FOUND, "")
    assert done.err.startswith("error: no line of the request r-9 in the logs of 2 execution environments")


def test_without_environments_it_is_said_where_logs_go(function, cli):
    """On standard error; nothing failed."""
    done = cli("logs", "hello")
    assert (done.code, done.out) == (0, "")
    assert "a log goes with its environment" in done.err


@pytest.mark.parametrize(
    ("arguments", "out", "err"),
    [
        (("hello",), "latest\none\ntwo\n", ""),
        (("hello:1",), "one\n", ""),
        (("hello", "--qualifier", "2"), "two\n", ""),
        (("hello:2", "--qualifier", "2"), "two\n", ""),
        (("hello:$LATEST",), "latest\n", ""),
        (("hello:live",), "one\ntwo\n", "hello:live is at 1 (90%), 2 (10%)\n"),
        (("hello:3",), "", "hello:3 has no execution environment of version 3 now: a log goes with its environment\n"),
    ],
)
def test_logs_are_of_the_version_or_of_those_that_the_alias_sends_requests_to(
    cluster, function, cli, arguments, out, err
):
    """Environments are labelled with their version."""
    for second, (version, text) in enumerate([("latest", "latest"), ("1", "one"), ("2", "two")]):
        cluster.environment(f"hello-x-{version}", function, stamped(second, text), version=version)
    cluster.alias(function, "live", "1", weights={"2": 0.1})
    done = cli("logs", *arguments)
    assert (done.code, done.out, done.err) == (0, out, err)


def test_logs_of_an_alias_that_does_not_exist_are_not_found(cluster, function, cli):
    """With those that do."""
    cluster.alias(function, "live")
    done = cli("logs", "hello:dev")
    assert done.code == ExitCode.NOT_FOUND
    assert "has no alias 'dev'\nits aliases: live\n" in done.err


def test_two_qualifiers_that_differ_are_a_usage_error(function, cli):
    """Exit code 2."""
    assert cli("logs", "hello:1", "--qualifier", "2").code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("nope",), ExitCode.NOT_FOUND),
        (("hello", "-f", "-p"), ExitCode.USAGE),
        (("hello", "--tail", "x"), ExitCode.USAGE),
        (("hello", "--since", "yesterday"), ExitCode.USAGE),
        ((), ExitCode.USAGE),
    ],
)
def test_mistakes_have_their_exit_codes(function, cli, arguments, code):
    """Usage or not found."""
    assert cli("logs", *arguments).code == code


def test_who_may_not_read_logs_is_told_so(cluster, two, cli):
    """pods/log is a right of its own."""
    cluster.refuse("GET", "/log$", 403, message='cannot get resource "pods/log"')
    done = cli("logs", "hello")
    assert (done.code, done.err) == (ExitCode.DENIED, 'error: cannot get resource "pods/log"\n')


class Following:
    """A process that follows, and what it has printed."""

    def __init__(self, started):
        self.process, self.lines = started, []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in iter(self.process.stdout.readline, b""):
            self.lines.append(line.decode().rstrip("\n"))

    def wait_for(self, *wanted):
        deadline = time.monotonic() + 60
        while self.lines != list(wanted):
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.02)


def test_following_goes_on_across_environments(cluster, function, process):
    """What exists, what is written, what an environment that comes later writes; each line once."""
    cluster.environment("hello-x-aaaaa", function, stamped(1, "a1"), still_writing=True)
    seen = Following(process("logs", "hello", "--follow"))
    seen.wait_for("a1")
    cluster.write("hello-x-aaaaa", *stamped(2, "a2"))
    seen.wait_for("a1", "a2")
    cluster.environment("hello-x-bbbbb", function, started=False, phase="Pending")
    time.sleep(0.3)
    cluster.logs["hello-x-bbbbb"].started = True
    cluster.write("hello-x-bbbbb", *stamped(3, "b3"))
    seen.wait_for("a1", "a2", "b3")
    cluster.write("hello-x-aaaaa", *stamped(4, "a4"), last=True)
    seen.wait_for("a1", "a2", "b3", "a4")
    cluster.write("hello-x-bbbbb", *stamped(5, "b5"))
    seen.wait_for("a1", "a2", "b3", "a4", "b5")


def test_a_connection_that_ends_is_taken_up_where_it_broke(cluster, function, process):
    """The environment still runs: its log goes on, without a line twice."""
    cluster.environment("hello-x-aaaaa", function, stamped(1, "a1"), still_writing=True)
    seen = Following(process("logs", "hello", "-f"))
    seen.wait_for("a1")
    cluster.write("hello-x-aaaaa", *stamped(2, "a2"), last=True)
    seen.wait_for("a1", "a2")
    cluster.write("hello-x-aaaaa", *stamped(3, "a3"))
    seen.wait_for("a1", "a2", "a3")


class Quiet:
    """A cluster in which nothing happens."""

    def __init__(self):
        self.watched = threading.Event()

    def get(self, *_):
        return {"metadata": {"resourceVersion": "1"}, "items": []}

    def watch(self, *_):
        self.watched.set()
        threading.Event().wait()
        yield {}


def test_ctrl_c_is_heard_also_where_it_does_not_wake_the_wait(function):
    """Python only notes a signal that came in the moment before the wait, or to another thread as here."""
    quiet = Quiet()

    def interrupt():
        quiet.watched.wait()
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        next(Environments(quiet, function).follow())


def test_following_one_request_ends_with_it(cluster, function, process):
    """Its REPORT was printed: nothing else will come."""
    cluster.environment(
        "hello-x-aaaaa", function, stamped(1, "START RequestId: r-1 Version: 1", "hi"), still_writing=True
    )
    started = process("logs", "hello", "-f", "--request-id", "r-1")
    seen = Following(started)
    seen.wait_for("START RequestId: r-1 Version: 1", "hi")
    cluster.write("hello-x-aaaaa", *stamped(3, "REPORT RequestId: r-1\tDuration"))
    assert started.wait(60) == 0

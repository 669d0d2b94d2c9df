"""`lambent get`: the server's own columns, kubectl's forms."""

from __future__ import annotations

import json
import threading

import pytest
import yaml

from lambent.cli.outcomes import ExitCode


@pytest.fixture(autouse=True)
def functions(cluster):
    cluster.function("hello", labels={"team": "shop"}, managedFields=[{"manager": "x"}])
    cluster.function("object", function_name="My_Func")
    cluster.function("far", "elsewhere", ready="False")


HEADER = "NAME     RUNTIME      READY   AGE"


@pytest.mark.parametrize(
    ("arguments", "out"),
    [
        ((), f"{HEADER}\nhello    python3.11   True    5m\nobject   python3.11   True    5m\n"),
        (("hello",), "NAME    RUNTIME      READY   AGE\nhello   python3.11   True    5m\n"),
        (("hello", "My_Func"), f"{HEADER}\nhello    python3.11   True    5m\nobject   python3.11   True    5m\n"),
        (("elsewhere/far",), "NAME   RUNTIME      READY   AGE\nfar    python3.11   False   5m\n"),
        (("-l", "team=shop"), "NAME    RUNTIME      READY   AGE\nhello   python3.11   True    5m\n"),
        (("-o", "name"), "function.lambent.dev/hello\nfunction.lambent.dev/object\n"),
        (("-o", "name", "hello"), "function.lambent.dev/hello\n"),
        (
            ("hello", "-o", "wide"),
            "NAME    RUNTIME      READY   TIMEOUT   AGE\nhello   python3.11   True    3         5m\n",
        ),
        (
            ("-A",),
            "NAMESPACE   NAME     RUNTIME      READY   AGE\ndefault     hello    python3.11   True    5m\n"
            "default     object   python3.11   True    5m\nelsewhere   far      python3.11   False   5m\n",
        ),
        (("-n", "elsewhere"), "NAME   RUNTIME      READY   AGE\nfar    python3.11   False   5m\n"),
    ],
)
def test_functions_are_printed_in_the_servers_columns(cli, arguments, out):
    """As kubectl prints them; several namespaces get a column."""
    done = cli("get", *arguments)
    assert (done.code, done.out, done.err) == (0, out, "")


def test_one_function_as_json_is_the_object_and_several_are_a_list(cli):
    """Without the fields' managers, as kubectl prints."""
    one = json.loads(cli("get", "hello", "-o", "json").out)
    assert (one["kind"], one["metadata"]["name"], "managedFields" in one["metadata"]) == ("Function", "hello", False)
    many = yaml.safe_load(cli("get", "-o", "yaml").out)
    assert (many["kind"], [item["metadata"]["name"] for item in many["items"]]) == ("List", ["hello", "object"])
    assert {item["apiVersion"] for item in many["items"]} == {"lambent.dev/v1alpha1"}


def test_a_missing_function_is_exit_code_4_and_the_others_are_printed(cli):
    """One line for each that is missing."""
    done = cli("get", "nope", "hello")
    assert done.code == ExitCode.NOT_FOUND
    assert done.out.splitlines()[1].startswith("hello ")
    assert done.err == "error: there is no function 'nope' in the namespace 'default'\n"


def test_no_functions_is_said_on_standard_error(cli):
    """Standard output stays empty, the code is 0, as for kubectl."""
    done = cli("get", "-n", "empty")
    assert (done.code, done.out, done.err) == (0, "", "no functions in the namespace empty\n")


@pytest.mark.parametrize(
    "arguments", [("hello", "-A"), ("hello", "-l", "a=b"), ("a", "b", "-w"), ("-w", "-o", "json"), ("-o", "xml")]
)
def test_contradictions_are_usage_errors(cli, arguments):
    """Exit code 2."""
    assert cli("get", *arguments).code == ExitCode.USAGE


def test_who_may_not_list_is_told_so(cluster, cli):
    """In the API server's words, with exit code 5."""
    cluster.refuse("GET", "functions$", 403, message="functions.lambent.dev is forbidden")
    done = cli("get")
    assert (done.code, done.err) == (ExitCode.DENIED, "error: functions.lambent.dev is forbidden\n")


def test_an_expired_login_is_told_so(cluster, cli):
    """401 with a question that helps."""
    cluster.refuse("GET", "functions$", 401, "Unauthorized", "Unauthorized")
    done = cli("get")
    assert done.code == ExitCode.DENIED
    assert "is your kubeconfig's login still valid?" in done.err


@pytest.mark.parametrize("arguments", [("get", "-w"), ("get", "hello", "-w")])
def test_watching_prints_each_change_once(cluster, process, arguments):
    """The table first, then what changes; what looks the same is not printed again."""
    started = process(*arguments)
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(iter(started.stdout.readline, b"")), daemon=True)
    first = started.stdout.readline()
    assert first.split()[0] == b"NAME"
    reader.start()
    wait_for(lambda: any(b"hello" in line for line in lines))
    wait_for(lambda: any(asked.query.get("watch") for asked in cluster.requests))
    cluster.function("hello", labels={"team": "shop"})
    cluster.function("hello", ready="False")
    wait_for(lambda: any(b"False" in line for line in lines))
    assert [line.split()[2] for line in lines if line.startswith(b"hello")] == [b"True", b"False"]


def wait_for(question):
    import time

    deadline = time.monotonic() + 60
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.02)

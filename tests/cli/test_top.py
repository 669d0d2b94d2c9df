"""`lambent top`: from the gateways' metrics and the environments' pods to a table."""

from __future__ import annotations

import json

import pytest

from lambent.cli.outcomes import ExitCode


def exposition(running, invocations, errors=0, colds=0, function="hello", namespace="default"):
    labels = f'function="{function}",namespace="{namespace}",version="$LATEST"'
    return f"""# TYPE lambent_invocations_total counter
lambent_invocations_total{{{labels},outcome="success"}} {invocations - errors}
lambent_invocations_total{{{labels},outcome="function_error"}} {errors}
lambent_throttles_total{{{labels},reason="x"}} 0
lambent_init_duration_seconds_count{{{labels}}} {colds}
lambent_duration_seconds_bucket{{{labels},le="0.1"}} {invocations}
lambent_duration_seconds_bucket{{{labels},le="+Inf"}} {invocations}
lambent_concurrent_executions{{{labels}}} {running}
"""


@pytest.fixture(autouse=True)
def installed(cluster):
    cluster.release()
    function = cluster.function("hello")
    for name, phase in (("a", "Running"), ("b", "Running"), ("c", "Running"), ("d", "Pending"), ("e", "Succeeded")):
        cluster.environment(f"hello-x-{name}", function, phase=phase)
    cluster.environment("far-x-a", cluster.function("far", "elsewhere"))
    cluster.metrics["lambent-gateway-1"] = [exposition(0, 0), exposition(2, 1000, errors=500, colds=3)]


QUICK = ("--interval", "50ms")


def test_concurrency_environments_and_rates_are_shown(cli):
    """Three run, two of them hold a request, one is starting; the one that ended is not counted."""
    done = cli("top", *QUICK)
    header, row = (line.split() for line in done.out.splitlines())
    assert header == ["FUNCTION", "RUNNING", "IDLE", "STARTING", "INV/S", "ERR%", "THROTTLED/S", "COLD/S", "P50", "P99"]
    assert row[:4] == ["hello", "2", "1", "1"]
    assert float(row[4]) > 0
    assert row[5:7] == ["50.0", "0.0"]
    assert float(row[7]) > 0
    assert row[8:] == ["50.0ms", "99.0ms"]


def test_output_json_has_numbers(cli):
    """For programs: seconds and shares."""
    [row] = json.loads(cli("top", "-o", "json", *QUICK).out)
    assert (row["function"], row["running"], row["idle"], row["starting"]) == ("hello", 2, 1, 1)
    assert (row["errorShare"], row["p50Seconds"], row["p99Seconds"]) == (0.5, 0.05, 0.099)


def test_all_namespaces_get_a_column_and_an_order(cli):
    """A function with environments and no requests is there too."""
    rows = [line.split()[:3] for line in cli("top", "-A", "--sort-by", "running", *QUICK).out.splitlines()[1:]]
    assert rows == [["default", "hello", "2"], ["elsewhere", "far", "0"]]
    rows = [line.split()[1] for line in cli("top", "-A", "--sort-by", "name", *QUICK).out.splitlines()[1:]]
    assert rows == ["hello", "far"]


def test_names_choose(cli):
    """Also of another namespace."""
    assert [line.split()[0] for line in cli("top", "elsewhere/far", *QUICK).out.splitlines()[1:]] == ["far"]


def test_who_may_not_see_pods_sees_the_rest(cluster, cli):
    """With a word on standard error."""
    cluster.refuse("GET", "^/api/v1/namespaces/default/pods$", 403, message="cannot list pods")
    done = cli("top", *QUICK)
    assert done.out.splitlines()[1].split()[:4] == ["hello", "2", "-", "-"]
    assert "environments are not shown: cannot list pods" in done.err


def test_who_may_not_ask_the_gateways_is_denied(cluster, cli):
    """pods/proxy."""
    cluster.refuse("GET", "/proxy/metrics$", 403, message='cannot get resource "pods/proxy"')
    done = cli("top", *QUICK)
    assert (done.code, done.out) == (ExitCode.DENIED, "")
    assert 'cannot get resource "pods/proxy"' in done.err


def test_without_a_release_there_is_nothing_to_ask(cluster, cli):
    """Exit code 4."""
    assert cli("top", "--release", "nope", *QUICK).code == ExitCode.NOT_FOUND


def test_quiet_is_said_on_standard_error(cli):
    """No row, no table."""
    done = cli("top", "-n", "empty", *QUICK)
    assert (done.code, done.out) == (0, "")
    assert "no function has been invoked" in done.err


def test_watching_goes_on(cluster, process):
    """A table each interval."""
    started = process("top", "-w", *QUICK)
    for _ in range(2):
        assert started.stdout.readline().startswith(b"FUNCTION")
        assert started.stdout.readline().startswith(b"hello")
        assert started.stdout.readline() == b"\n"

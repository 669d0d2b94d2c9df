"""Interleaving, and running blocks with real processes."""

import contextlib
import itertools
import os
import subprocess
import sys
import time

import pytest
from tests.bench import backends, blocks, machines, places, processes
from tests.bench.blocks import Shape, Side
from tests.bench.loads import EVENT, LoadFailed, Stretch
from tests.bench.machines import Cores, CpuTimes

CORES = machines.cores() or Cores(*[min(os.sched_getaffinity(0))] * 2)
SHORT = Stretch(warmup_s=0.05, least_s=0.1, most_s=0.1)


def test_the_order_is_a_b_b_a():
    assert ["ours", "theirs", "theirs", "ours"] * 2 == list(itertools.islice(blocks.order(), 8))


def responder(body=EVENT, status="200 OK"):
    """The frozen responder as a side."""

    answer = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body.decode()}"

    @contextlib.contextmanager
    def start(folder):
        assert not list(folder.iterdir()), "each block has a folder of its own"
        with backends.responder(answer, core=CORES.test, folder=folder) as (target, process):
            yield target, [("responder", process)]

    return Side(start)


def quiet(monkeypatch, *, always):
    """The machine itself is the border here: one that is always quiet, or never."""
    monkeypatch.setattr(machines, "NOISY", 2.0)
    monkeypatch.setattr(machines, "STOLEN", 2.0 if always else -1.0)


def test_blocks_run_in_whole_rounds_until_there_are_enough(monkeypatch):
    quiet(monkeypatch, always=True)
    sides = {"ours": responder(), "theirs": responder()}
    enough = blocks.interleave(sides, Shape(SHORT, blocks=1, most_blocks=9, n=1), CORES, "test")
    # on a busy machine a stretch as short as this may see nothing, and then there is another round
    assert [block.side for block in enough.quiet] == ["ours", "theirs", "theirs", "ours"] * (len(enough.quiet) // 4)
    assert blocks.samples(enough.quiet) > 0
    assert all(block.loaded.errors == 0 for block in enough.quiet)
    never = blocks.interleave(sides, Shape(SHORT, blocks=1, most_blocks=3, n=10**9), CORES, "test")
    assert [block.side for block in never.quiet] == ["ours", "theirs", "theirs", "ours"] * 2


def test_disturbed_blocks_do_not_count_and_the_measurement_ends_all_the_same(monkeypatch):
    quiet(monkeypatch, always=False)
    sides = {"ours": responder(), "theirs": responder()}
    found = blocks.interleave(sides, Shape(SHORT, blocks=1, most_blocks=2, n=1), CORES, "test")
    assert not found.quiet
    assert [block.side for block in found.disturbed] == ["ours", "theirs", "theirs", "ours"]


def test_a_side_that_answers_something_else_ends_the_measurement():
    with pytest.raises(LoadFailed, match="503"):
        blocks.run_block("ours", responder(status="503 Busy"), Stretch(0.0, 30.0, 30.0), CORES)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core only")
def test_a_process_and_its_children_stay_on_their_core(tmp_path):
    code = "import os, subprocess, sys; sys.stderr.write(str(os.sched_getaffinity(0))); sys.stderr.flush(); subprocess.run(['sleep', '60'])"
    log = tmp_path / "log"
    with processes.running(
        [sys.executable, "-c", code], core=CORES.test, log=log, env=os.environ, cwd=tmp_path
    ) as process:
        _until(lambda: processes.descendants(process.pid))
        (child,) = processes.descendants(process.pid)
        assert os.sched_getaffinity(child) == {CORES.test}
        assert log.read_text() == f"{{{CORES.test}}}"


def test_ending_a_process_ends_everything_below_it(tmp_path):
    stubborn = (
        "import signal, subprocess; signal.signal(signal.SIGTERM, signal.SIG_IGN); subprocess.run(['sleep', '60'])"
    )
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {stubborn!r}])"
    with processes.running(
        [sys.executable, "-c", code], core=CORES.test, log=tmp_path / "log", env=os.environ, cwd=tmp_path
    ) as process:
        _until(lambda: len(processes.descendants(process.pid)) == 2)
        family = [processes.identify(pid) for pid in processes.descendants(process.pid)]
    assert process.returncode is not None
    _until(lambda: all(processes.identify(member.pid) != member or _zombie(member.pid) for member in family))


def test_a_process_that_does_not_start_says_why(tmp_path):
    log = tmp_path / "log"
    with (
        processes.running(
            [sys.executable, "-c", "raise SystemExit('no door')"], core=CORES.test, log=log, env={}, cwd=tmp_path
        ) as process,
        pytest.raises(processes.DidNotStart, match="no door"),
    ):
        processes.await_port(process, "127.0.0.1", places.free_port(), log)


def test_what_others_use_of_the_machine_is_what_is_busy_and_not_ours():
    before, after = CpuTimes(10.0, 10.0, 0.0), CpuTimes(16.0, 13.0, 1.0)
    assert machines.shares(before, after, own=4.0) == machines.Shares(foreign=0.2, steal=0.1)
    assert machines.shares(before, after, own=40.0).foreign == 0.0


def test_the_fingerprint_names_the_machine():
    found = machines.fingerprint()
    assert found["cores"] == os.cpu_count()
    assert found["cpu"]
    assert 0 < found["fdatasync_us"]["p50"] <= found["fdatasync_us"]["p99"]


def test_the_command_refuses_an_unknown_id():
    done = subprocess.run(
        [sys.executable, str(places.BENCH), "--ids", "P4,X9"], capture_output=True, text=True, cwd="/", check=False
    )
    assert done.returncode == 2
    assert "X9" in done.stderr


def _zombie(pid):
    return processes._stat(pid)[:1] == ["Z"]


def _until(true, seconds=10.0):
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.01)

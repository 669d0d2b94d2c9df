"""A process is known by its id, its start time and the boot; only that very process is ever signalled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from local import processes
from local.processes import Record

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


def started(folder: Path, argv: list[str]) -> Record:
    """A process that has said that it is up."""
    record = processes.start(folder, "one", argv, folder / "one.log")
    while "up" not in (folder / "one.log").read_text():
        assert processes.lives(record)
    return record


def fake_proc(folder: Path, stat: str) -> Path:
    """A /proc with process 7 in it."""
    (folder / "7").mkdir(parents=True)
    (folder / "7/stat").write_text(stat)
    (folder / "sys/kernel/random").mkdir(parents=True)
    (folder / "sys/kernel/random/boot_id").write_text("boot\n")
    return folder


def stat_line(name: str, state: str, ticks: int) -> str:
    """As proc(5) describes it: 52 fields, the second in brackets, the 22nd the start time."""
    return f"7 ({name}) {state} " + " ".join(["0"] * 18) + f" {ticks} " + " ".join(["0"] * 30)


def test_a_started_process_is_found_again_and_stopped(tmp_path: Path) -> None:
    """What `up` starts, a later `down` in another process finds by its file."""
    record = started(tmp_path, SLEEP)
    assert record == processes.running(tmp_path, "one")
    assert processes.stop(tmp_path, "one", patience=10) == "stopped"
    assert processes.running(tmp_path, "one") is None
    assert not processes.lives(record)


def test_a_process_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    """After its patience, `stop` insists."""
    record = started(tmp_path, STUBBORN)
    assert processes.stop(tmp_path, "one", patience=0.2) == "killed"
    assert not processes.lives(record)


def test_a_recycled_id_is_never_signalled(tmp_path: Path) -> None:
    """Same id, other start time: somebody else's process."""
    other = subprocess.Popen(SLEEP, stdout=subprocess.DEVNULL)
    ticks = processes.start_ticks(other.pid)
    assert ticks is not None
    stale = Record("one", other.pid, ticks - 1, processes.boot_id(), 0.0, ())
    processes.send(stale, signal.SIGKILL)
    assert other.poll() is None
    other.kill()
    other.wait()


def test_a_process_of_an_earlier_boot_does_not_live(tmp_path: Path) -> None:
    """Ids and ticks start over with each boot."""
    mine = os.getpid()
    now = Record("me", mine, processes.start_ticks(mine) or 0, processes.boot_id(), 0.0, ())
    assert processes.lives(now)
    assert not processes.lives(replace(now, boot="another"))


def test_stopping_what_never_ran_is_absent(tmp_path: Path) -> None:
    """`down` may be said twice."""
    assert processes.stop(tmp_path, "one", patience=0.1) == "absent"


def test_half_a_record_is_no_record(tmp_path: Path) -> None:
    """A power cut while writing must not stop the next `up`."""
    (tmp_path / "one.json").write_text('{"name": "on')
    assert processes.load(tmp_path, "one") is None


def test_a_program_may_have_brackets_and_spaces_in_its_name(tmp_path: Path) -> None:
    """The name ends at the last bracket."""
    proc = fake_proc(tmp_path, stat_line("a) S (b", "S", 4711))
    assert processes.start_ticks(7, proc) == 4711


def test_a_zombie_does_not_live(tmp_path: Path) -> None:
    """It only waits for its parent."""
    proc = fake_proc(tmp_path, stat_line("x", "Z", 4711))
    assert processes.start_ticks(7, proc) is None

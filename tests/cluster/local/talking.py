"""What the person at the terminal hears: everything on stderr, so that stdout stays for results.

A step that takes longer than two seconds says what it is doing and for how long; the output of the
programs it runs goes to a log file, of which the end is shown when one of them fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

FIRST_WORD_SECONDS = 2.0
NEXT_WORD_SECONDS = 15.0
TAIL_LINES = 25

VERBOSE = "LAMBENT_VERBOSE"  # in the environment, so that it needs no global of ours


class Failed(Exception):
    """A step could not be done; the message is for the person and says what to look at."""


def be_verbose() -> None:
    """Show the programs' own output as well."""
    os.environ[VERBOSE] = "1"


def say(text: str) -> None:
    """One line to the person."""
    print(f"lambent: {text}", file=sys.stderr, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Tell about `what` while the block runs; silent when it is done within two seconds."""
    start = time.monotonic()
    done = threading.Event()

    def tell() -> None:
        pause = FIRST_WORD_SECONDS
        while not done.wait(pause):
            say(f"{what} … {time.monotonic() - start:.0f} s")
            pause = NEXT_WORD_SECONDS

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
    if (took := time.monotonic() - start) >= FIRST_WORD_SECONDS:
        say(f"{what}: done in {took:.0f} s")


def run(
    argv: Sequence[str | Path], log: Path, *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> None:
    """Run a program to its end, its output to `log`; Failed with the log's end when it does not exit 0."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as out:
        out.write(f"$ {' '.join(map(str, argv))}\n".encode())
        out.flush()
        target = sys.stderr if os.environ.get(VERBOSE) else out
        try:
            ended = subprocess.run(
                argv, check=False, stdin=subprocess.DEVNULL, stdout=target, stderr=target, cwd=cwd, env=env
            )
        except FileNotFoundError as missing:
            raise Failed(f"{argv[0]} is not installed") from missing
    if ended.returncode != 0:
        raise Failed(f"{argv[0]} exited {ended.returncode}; the end of {log}:\n{tail(log)}")


def tail(log: Path) -> str:
    """The last lines of a log file."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:])
    except FileNotFoundError:
        return "(no log)"


def ask(argv: Sequence[str | Path], *, timeout: float = 30) -> str:
    """The stdout of a program that answers quickly; Failed with its stderr when it does not exit 0."""
    try:
        ended = subprocess.run(
            argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
        )
    except FileNotFoundError as missing:
        raise Failed(f"{argv[0]} is not installed") from missing
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{argv[0]} did not answer within {timeout:.0f} s") from late
    if ended.returncode != 0:
        raise Failed(f"{' '.join(map(str, argv))}: {ended.stderr.strip() or f'exit {ended.returncode}'}")
    return ended.stdout


def attempt(*argv: str | Path) -> None:
    """Run a program that may well fail or be missing: for undoing what may be undone already."""
    with suppress(FileNotFoundError):
        subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, capture_output=True)


def wait_until(
    what: str, true: Callable[[], object], *, seconds: float, log: Path | None = None, every: float = 0.1
) -> None:
    """Poll a function until it returns something true; Failed after `seconds`, with the end of `log`."""
    deadline = time.monotonic() + seconds
    with step(f"waiting for {what}"):
        while not true():
            if time.monotonic() > deadline:
                hint = f"; the end of {log}:\n{tail(log)}" if log else ""
                raise Failed(f"{what} did not come within {seconds:.0f} s{hint}")
            time.sleep(every)

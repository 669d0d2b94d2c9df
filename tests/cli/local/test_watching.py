"""`--watch`: what counts as a change, when it has come to rest, and the next run."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from lambent.cli.local.watching import Watched, changes, look, wait_for_change
from lambent.cli.outcomes import ExitCode


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "code"
    (place / "package").mkdir(parents=True)
    (place / "app.py").write_text("1")
    (place / "package" / "part.py").write_text("1")
    return place


def write(path, text="22"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        pytest.param(lambda at: write(at / "app.py"), ["app.py"], id="a file with other content"),
        pytest.param(lambda at: write(at / "new/deep.py"), ["new/deep.py"], id="a new file in a new folder"),
        pytest.param(lambda at: (at / "package/part.py").unlink(), ["package/part.py"], id="a file that is gone"),
        pytest.param(lambda at: os.replace(at / "app.py", at / "b.py"), ["app.py", "b.py"], id="a renamed file"),
        pytest.param(lambda at: os.utime(at / "app.py", (5, 5)), ["app.py"], id="a touched file"),
        pytest.param(lambda at: write(at / "__pycache__/app.pyc"), [], id="not Python's cache"),
        pytest.param(lambda at: write(at / ".git/index"), [], id="nothing in a hidden folder"),
        pytest.param(lambda at: write(at / "node_modules/a/index.js"), [], id="no installed package"),
        pytest.param(lambda at: write(at / ".app.py.swp"), [], id="no editor's swap file"),
        pytest.param(lambda at: write(at / "out.log"), [], id="not the log that we write"),
    ],
)
def test_a_change_is(folder, change, found):
    """By path; the rest is passed over."""
    watched = Watched((str(folder),), str(folder / "out.log"))
    before = look(watched)
    change(folder)
    assert [os.path.relpath(path, folder) for path in changes(before, look(watched))] == found


def test_the_next_run_waits_until_the_files_have_come_to_rest(folder):
    """An editor writes more than once: what it wrote while we waited belongs to the same change."""
    watched = Watched((str(folder), str(folder / "event.json")))
    before = look(watched)
    todo = [
        lambda: None,
        lambda: write(folder / "app.py", "333"),
        lambda: write(folder / "event.json"),
        lambda: write(folder / "app.py", "4444"),
    ]
    found, now = wait_for_change(watched, before, pause=lambda seconds: todo.pop(0)() if todo else None)
    assert [os.path.basename(path) for path in found] == ["app.py", "event.json"]
    assert now == look(watched)


def test_a_change_that_was_taken_back_is_none(folder):
    """It is waited on."""
    watched = Watched((str(folder),))
    before = look(watched)
    status = (folder / "app.py").stat()

    def undo():
        write(folder / "app.py", "1")
        os.utime(folder / "app.py", ns=(status.st_atime_ns, status.st_mtime_ns))

    todo = [lambda: write(folder / "app.py"), undo, lambda: None, lambda: write(folder / "last.py")]
    found, _ = wait_for_change(watched, before, pause=lambda seconds: todo.pop(0)() if todo else None)
    assert [os.path.basename(path) for path in found] == ["last.py"]


def test_a_change_brings_the_next_run_in_a_fresh_environment(process, project):
    """Of code and event; an error is told and the next change waited for; Ctrl-C ends it."""
    project.write("runtime: python3.11\nhandler: app.handler\ncode: {artifactUri: registry.example/app:1}")
    code = "import os\ncount = 0\ndef handler(event, context):\n  global count; count += 1\n  return [%s, count, event]"
    project.file("app.py", code % 1)
    event = project.file("event.json", '"a"')
    run = process("local", "invoke", "-f", str(project.manifest), "-e", str(event), "--watch", "--log", "/dev/null")
    told = []
    waiting = threading.Semaphore(0)

    def listen():
        for line in run.stderr:
            told.append(line.decode())
            if line.startswith(b"watching"):
                waiting.release()

    threading.Thread(target=listen, daemon=True).start()

    def answer():
        assert waiting.acquire(timeout=60)
        return os.read(run.stdout.fileno(), 1000)

    assert answer() == b'[1, 1, "a"]'
    project.file("app.py", code % 2)
    assert answer() == b'[2, 1, "a"]'
    project.file("event.json", '{"broken"')
    assert waiting.acquire(timeout=60)
    project.file("event.json", '"b"')
    assert answer() == b'[2, 1, "b"]'
    run.send_signal(signal.SIGINT)
    assert run.wait(60) == ExitCode.INTERRUPTED
    log = "".join(told)
    assert "changed: " in log
    assert "app.py\n" in log
    assert "error: InvalidRequestContentException: Could not parse request body into json" in log

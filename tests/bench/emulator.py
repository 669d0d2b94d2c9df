"""AWS's Runtime Interface Emulator, as it ships in the PyPI wheel of aws-sam-cli: the comparator of the agent."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from . import places
from .loads import EVENT, Target, request
from .processes import DidNotStart, await_port, running

REQUIREMENTS = places.BENCH / "rie-requirements.txt"
_PATH = "/2015-03-31/functions/function/invocations"
_ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64"}


class NoEmulator(Exception):
    """It cannot be had on this machine; the message is a word for the verdict line."""


def binary() -> Path:
    """The emulator's binary, fetched once with its hash checked, kept in the state directory."""
    architecture = _ARCHITECTURES.get(platform.machine())
    if architecture is None or sys.platform != "linux":
        raise NoEmulator("no-emulator-for-this-machine")
    version = re.search(r"^aws-sam-cli==(\S+)", REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE)
    assert version is not None
    kept = places.state() / "rie" / version[1] / f"aws-lambda-rie-{architecture}"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            _install(Path(folder))
            draft = kept.with_suffix(f".{os.getpid()}")
            shutil.copyfile(Path(folder) / "samcli/local/rapid" / kept.name, draft)
            draft.chmod(0o755)
            draft.replace(kept)
    return kept


def _install(folder: Path) -> None:
    """The wheel alone, by whichever installer there is; both check the hash."""
    uv = shutil.which("uv") or shutil.which(places.state() / "uv/bin/uv")  # the Makefile's own
    program = [uv, "pip", "install", "--python", sys.executable] if uv else [sys.executable, "-m", "pip", "install"]
    options = ["--quiet", "--no-deps", "--require-hashes", "--target", str(folder), "-r", str(REQUIREMENTS)]
    done = subprocess.run([*program, *options], capture_output=True, check=False, timeout=600)
    if done.returncode != 0:
        print(done.stderr.decode("utf-8", "replace")[-1000:], file=sys.stderr)
        raise NoEmulator("emulator-could-not-be-fetched")


def digest(path: Path) -> str:
    """SHA-256 of the binary, for the record."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextlib.contextmanager
def emulated(function: str, *, core: int, folder: Path) -> Iterator[tuple[Target, subprocess.Popen[bytes]]]:
    """The emulator with AWS's Python client and `functions/<function>.py`, on one core with its runtime."""
    port, runtime_port, log = places.free_port(), places.free_port(), folder / "rie.log"
    environment = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "3",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
    }
    arguments = [
        str(binary()),
        *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
        *("--runtime-api-address", f"127.0.0.1:{runtime_port}"),
        *(sys.executable, "-s", "-m", "awslambdaric", f"{function}.handler"),
    ]
    with running(arguments, core=core, log=log, env=environment, cwd=places.FUNCTIONS) as process:
        await_port(process, "127.0.0.1", port, log)
        before, after = request(_PATH, [("Host", f"127.0.0.1:{port}")], "X-Number: ")
        _first_invocation(port)
        yield Target("127.0.0.1", port, before, after), process


def _first_invocation(port: int) -> None:
    """It starts the runtime when it is first asked: ours waits warm too."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request("POST", _PATH, EVENT)
        answer = connection.getresponse()
        body = answer.read()
    if answer.status != 200 or body != EVENT:
        raise DidNotStart(f"the emulator answered {answer.status} {body[:1000]!r}")

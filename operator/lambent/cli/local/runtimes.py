"""What starts the runtime on this machine: the interpreter at hand and AWS's own client for it, behind one launcher.

Python uses the runtime image's own bootstrap, of which `bootstraps/` has a link (in an installed package: a copy).
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from lambent.cli.outcomes import CommandFailed, ExitCode

_PYTHON_BOOTSTRAP = Path(__file__).parent / "bootstraps" / "python"
_PROBE = (
    "import importlib.util, sys\n"
    "found = importlib.util.find_spec('awslambdaric')\n"
    "print('%d.%d' % sys.version_info[:2], found.origin if found else '', sep='\\n')"
)
_NODE_CLIENT = "aws-lambda-ric"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one run is: the code, what stands for /opt, and a folder that is removed afterwards."""

    task_root: Path
    opt_root: Path
    own: Path
    has_layers: bool
    interpreter: str | None = None
    """As chosen by the person."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Settings of the agent, variables the function gets unless it has its own, and what a person should know."""

    settings: dict[str, str]
    variables: dict[str, str] = field(default_factory=dict)
    note: str = ""


def launch(runtime: str, place: Place) -> Launch:
    """How this runtime is started.

    Raises:
        CommandFailed: its interpreter or AWS's client is not installed, or it needs a container.
    """
    if runtime.startswith("python"):
        return _python(runtime, place)
    if runtime.startswith("nodejs"):
        return _node(runtime, place)
    if runtime.startswith("provided") or not runtime:  # without one the model has the word
        own = place.own / "runtime"
        own.mkdir()
        return Launch({"LAMBENT_RUNTIME_DIR": str(own)})
    raise CommandFailed(
        ExitCode.NOT_READY,
        f"runtime {runtime} does not run locally: python*, nodejs* and provided* do",
        "a function of another runtime runs on a cluster",
    )


@dataclass(frozen=True, slots=True)
class _Python:
    program: str
    version: str
    client: str
    """Folder with AWS's client; empty where it is not installed."""


def _python(runtime: str, place: Place) -> Launch:
    wanted = runtime.removeprefix("python")
    if not _PYTHON_BOOTSTRAP.is_file():  # a link into the checkout, which a copy of the package alone has not
        raise CommandFailed(ExitCode.SERVICE_FAILED, f"this copy of lambent is incomplete: no {_PYTHON_BOOTSTRAP}")
    found = _find_python(wanted, place.interpreter)
    note = "" if found.version == wanted else f"{runtime} runs on Python {found.version}: {found.program}"
    # -B: nothing is written into the project, and no byte code of a moment ago is taken for what was changed since
    program = _launcher(place.own, [found.program, "-s", "-B", str(_PYTHON_BOOTSTRAP)])
    settings = {"LAMBENT_BOOTSTRAP": program, "LAMBENT_RUNTIME_DIR": found.client, "LAMBENT_PRESTART": "1"}
    if not place.has_layers:
        return Launch(settings, note=note)
    # The bootstrap looks for layers in /opt. An interpreter that waited would have to start again for PYTHONPATH.
    root = place.opt_root / "python"
    layers = [root / "lib" / f"python{found.version}" / "site-packages", root]
    path = os.pathsep.join(str(each) for each in (*layers, found.client))
    return Launch({**settings, "LAMBENT_PRESTART": "0"}, {"PYTHONPATH": path}, note)


def _find_python(wanted: str, chosen: str | None) -> _Python:
    """Of the active virtual environment, our own, one by its version: the first of the right one, else the first."""
    active = os.environ.get("VIRTUAL_ENV")
    places = [chosen] if chosen else [f"{active}/bin/python" if active else "", sys.executable, f"python{wanted}"]
    looked_at: list[_Python] = []
    for place in places:
        program = shutil.which(place) if place else None
        if program is None:
            continue
        looked_at += [each for each in (_probe(program),) if each is not None]
        if looked_at and looked_at[-1].client and looked_at[-1].version == wanted:
            return looked_at[-1]
    fit = [each for each in looked_at if each.client]
    if fit:
        return fit[0]
    if not looked_at:
        raise CommandFailed(ExitCode.NOT_READY, f"no Python: {chosen or sys.executable} cannot be run")
    raise CommandFailed(
        ExitCode.NOT_READY,
        f"AWS's runtime interface client awslambdaric is not installed for {looked_at[0].program}",
        f"install it: {shlex.quote(looked_at[0].program)} -m pip install awslambdaric",
    )


def _probe(program: str) -> _Python | None:
    if program == sys.executable:
        spec = importlib.util.find_spec("awslambdaric")
        version, origin = f"{sys.version_info.major}.{sys.version_info.minor}", spec.origin if spec else ""
    else:
        try:
            done = subprocess.run([program, "-s", "-c", _PROBE], capture_output=True, text=True, check=True, cwd="/")
        except (OSError, subprocess.CalledProcessError):
            return None
        version, origin = done.stdout.split("\n")[:2]
    return _Python(program, version, str(Path(origin).parents[1]) if origin else "")


def _node(runtime: str, place: Place) -> Launch:
    program = shutil.which(place.interpreter or "node")
    if program is None:
        raise CommandFailed(ExitCode.NOT_READY, f"{runtime} needs node, which is not on PATH")
    client = _find_node_client(place.task_root, Path(program).resolve())
    if client is None:
        raise CommandFailed(
            ExitCode.NOT_READY,
            f"AWS's runtime interface client {_NODE_CLIENT} is installed neither for {place.task_root} nor globally",
            f"install it: npm install --global {_NODE_CLIENT}",
        )
    entry = json.loads((client / "package.json").read_text("utf-8"))["bin"]
    script = client / (entry if isinstance(entry, str) else entry[_NODE_CLIENT])
    settings = {
        "LAMBENT_BOOTSTRAP": _launcher(place.own, [program, str(script)], ' "$_HANDLER"'),
        "LAMBENT_RUNTIME_DIR": str(client.parents[1]),
    }
    return Launch(settings)


def _find_node_client(task_root: Path, program: Path) -> Path | None:
    """In the code's folder or one above it, as node looks for modules; else beside node itself."""
    above = [folder / "node_modules" for folder in (task_root, *task_root.parents)]
    globally = [prefix / "lib" / "node_modules" for prefix in (program.parents[1], Path("/usr/local"))]
    places = [folder / _NODE_CLIENT for folder in (*above, *globally)]
    return next((place for place in places if (place / "package.json").is_file()), None)


def _launcher(folder: Path, words: list[str], more: str = "") -> str:
    """A program for the agent, which starts one by its path alone."""
    path = folder / "bootstrap"
    path.write_text(f"#!/bin/sh\nexec {shlex.join(words)}{more}\n")
    path.chmod(0o755)
    return str(path)

"""Which interpreter runs a function, and where AWS's client for it is found."""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from lambent.cli.local import runtimes
from lambent.cli.outcomes import CommandFailed, ExitCode

ROOT = Path(__file__).resolve().parents[3]
OWN = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def place(tmp_path):
    def make(interpreter=None, layers=False):
        for name in ("task", "opt", "own"):
            (tmp_path / name).mkdir(exist_ok=True)
        return runtimes.Place(tmp_path / "task", tmp_path / "opt", tmp_path / "own", layers, interpreter)

    return make


@pytest.fixture
def stranger(tmp_path):
    """A Python of another version, as far as anybody can see from outside."""

    def make(version, client=""):
        program = tmp_path / f"python-{version}"
        program.write_text(f"#!/bin/sh\nprintf '%s\\n%s\\n' {version} '{client}'\n")
        program.chmod(0o755)
        return str(program)

    return make


def started(launch):
    """The line of the launcher that starts the runtime."""
    return Path(launch.settings["LAMBENT_BOOTSTRAP"]).read_text().splitlines()[1]


def test_our_own_python_runs_it_when_it_is_of_the_version(place, monkeypatch):
    """With the bootstrap of the runtime image, and waiting for its claim."""
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    launch = runtimes.launch(f"python{OWN}", place())
    assert started(launch).startswith(f"exec {sys.executable} -s ")
    assert (launch.note, launch.variables, launch.settings["LAMBENT_PRESTART"]) == ("", {}, "1")


def test_another_version_is_told(place, monkeypatch):
    """When there is no better one, our own is taken."""
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    assert runtimes.launch("python3.2", place()).note == f"python3.2 runs on Python {OWN}: {sys.executable}"


def test_a_chosen_interpreter_is_taken(place, stranger):
    """Whatever is installed besides."""
    program = stranger("3.14", "/somewhere/awslambdaric/__init__.py")
    launch = runtimes.launch("python3.14", place(program))
    assert started(launch).startswith(f"exec {program} -s ")
    assert (launch.settings["LAMBENT_RUNTIME_DIR"], launch.note) == ("/somewhere", "")


def test_the_python_of_the_active_environment_goes_before_our_own(place, stranger, monkeypatch, tmp_path):
    """A function's dependencies are installed there."""
    (tmp_path / "venv/bin").mkdir(parents=True)
    shutil.copy(stranger(OWN, "/somewhere/awslambdaric/__init__.py"), tmp_path / "venv/bin/python")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "venv"))
    assert started(runtimes.launch(f"python{OWN}", place())).startswith(f"exec {tmp_path}/venv/bin/python -s ")


def test_layers_are_found_by_pythonpath(place, monkeypatch):
    """The bootstrap knows /opt only."""
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    at = place(layers=True)
    launch = runtimes.launch(f"python{OWN}", at)
    first, second, third = launch.variables["PYTHONPATH"].split(":")
    assert (first, second) == (f"{at.opt_root}/python/lib/python{OWN}/site-packages", f"{at.opt_root}/python")
    assert third == launch.settings["LAMBENT_RUNTIME_DIR"]
    assert launch.settings["LAMBENT_PRESTART"] == "0"


@pytest.mark.parametrize(
    ("runtime", "interpreter", "words", "hint"),
    [
        ("python3.14", "{stranger}", "awslambdaric is not installed for {stranger}", "-m pip install awslambdaric"),
        ("python3.14", "/no/such/python", "/no/such/python cannot be run", ""),
        ("nodejs22.x", "/no/such/node", "nodejs22.x needs node, which is not on PATH", ""),
        ("nodejs22.x", "{stranger}", "aws-lambda-ric is installed neither for", "npm install --global aws-lambda-ric"),
        ("java21", None, "runtime java21 does not run locally: python*, nodejs* and provided* do", "cluster"),
    ],
)
def test_what_is_missing_is_told_with_what_installs_it(place, stranger, runtime, interpreter, words, hint):
    """Exit code 8."""
    program = stranger("3.14")
    with pytest.raises(CommandFailed) as failed:
        runtimes.launch(runtime, place(interpreter and interpreter.replace("{stranger}", program)))
    assert words.replace("{stranger}", program) in str(failed.value)
    assert hint in failed.value.hint
    assert failed.value.code is ExitCode.NOT_READY


CLIENT = """
    // Speaks the Runtime API as aws-lambda-ric does, for what is tried here.
    const http = require("http");
    const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
    const [file, name] = process.argv[2].split(".");
    const handler = require(process.env.LAMBDA_TASK_ROOT + "/" + file)[name];
    const call = (method, path, body) => new Promise((done) => {
      const request = http.request({ host, port, method, path: "/2018-06-01/runtime/invocation/" + path }, (answer) => {
        let text = "";
        answer.on("data", (piece) => (text += piece));
        answer.on("end", () => done([answer.headers["lambda-runtime-aws-request-id"], text]));
      });
      request.end(body);
    });
    (async () => {
      for (;;) {
        const [id, event] = await call("GET", "next");
        await call("POST", id + "/response", JSON.stringify(await handler(JSON.parse(event))));
      }
    })();
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_node_runs_the_client_that_is_installed_with_the_code(project, cli):
    """From node_modules of the code or of a folder above it; by its package.json. (A stand-in: AWS's own compiles.)"""
    project.write("runtime: nodejs22.x\nhandler: app.handler\ncode: {artifactUri: registry.example/app:1}")
    project.file("src/app.js", "exports.handler = async (event) => ({ hello: event.name });")
    project.file("node_modules/aws-lambda-ric/package.json", json.dumps({"bin": {"aws-lambda-ric": "bin/index.js"}}))
    project.file("node_modules/aws-lambda-ric/bin/index.js", CLIENT)
    code = str(project.folder / "src")
    done = cli("local", "invoke", "-f", str(project.manifest), "--code", code, "-e", '{"name": "you"}')
    assert (done.code, done.out) == (0, '{"hello":"you"}'), done.err


def test_the_python_bootstrap_is_the_runtime_images_own():
    """A link in the checkout, so there is one; a wheel gets what it leads to."""
    link = ROOT / "operator/lambent/cli/local/bootstraps/python"
    assert link.is_symlink()
    assert link.resolve() == ROOT / "runtime-images/python/bootstrap"


def test_a_wheel_has_all_data_of_the_command_line():
    """What is no module has to be listed."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    folder = ROOT / "operator/lambent/cli/local"
    packed = {path for pattern in listed["lambent.cli.local"] for path in folder.glob(pattern) if path.is_file()}
    data = {path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert packed == data

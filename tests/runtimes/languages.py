"""The languages of the suite: AWS's client of each, and how the suite's handler becomes a deployment package for it.

What is fetched or compiled is kept below LAMBENT_STATE by its content (`local.trees`): the first run takes minutes, the
next ones seconds.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from local import digests, maven, npm, state, trees
from local.talking import run
from tests.agent.driving import ROOT, site_packages, zipped

HANDLERS = Path(__file__).resolve().parent / "handlers"
CACHE = state.find(os.environ).root


@dataclass(frozen=True)
class Bundle:
    """What an environment is started with: the deployment package and, for a managed runtime, its two places."""

    code: bytes
    bootstrap: Path | None = None
    runtime: Path | None = None
    waits: bool = False
    """Whether the bootstrap can wait for its claim."""


@dataclass(frozen=True)
class Language:
    """One language and client; `stack` is the member of an error that has the stack trace."""

    name: str
    runtime: str
    handler: str
    build: Callable[[Path], Bundle]
    tools: tuple[str, ...]
    stack: str | None = None
    error_type: str = "Broken"
    trace: str | None = None
    """Where this client leaves the trace header when it is not the context or the environment."""

    def missing_tools(self) -> list[str]:
        """What is not installed here."""
        return [tool for tool in self.tools if shutil.which(tool) is None]


def require(language: Language) -> None:
    """Skips with the reason what has no tool chain here; on a runner, where all of them have to be, that is a failure."""
    if missing := language.missing_tools():
        told = f"{language.name} needs {', '.join(missing)}"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)


def launcher(folder: Path, *words: str | Path) -> Path:
    """A script that executes these words: what an image has at a fixed place, tests have elsewhere."""
    script = folder / "launcher"
    script.write_text("#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in words) + ' "$@"\n')
    script.chmod(0o755)
    return script


def files_of(folder: Path) -> dict[str, str | bytes]:
    """The files of a folder as a package has them."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in digests.files_below(folder)}


def python(folder: Path) -> Bundle:
    """The interpreter of the tests, with the bootstrap of the image."""
    bootstrap = launcher(folder, sys.executable, "-s", ROOT / "runtime-images/python/bootstrap")
    return Bundle(zipped(files_of(HANDLERS / "python")), bootstrap, Path(site_packages()), waits=True)


def nodejs(major: int) -> Callable[[Path], Bundle]:
    """Node.js of npm, with the bootstrap of the image."""

    def build(folder: Path) -> Bundle:
        node = npm.node(ROOT, major, CACHE) / "bin/node"
        bootstrap = launcher(folder, node, ROOT / "runtime-images/nodejs/bootstrap")
        return Bundle(zipped(files_of(HANDLERS / "nodejs")), bootstrap, npm.client(ROOT, major, CACHE), waits=True)

    return build


def java(folder: Path) -> Bundle:
    """The Java of this machine, with the bootstrap of the image; the package is a folder of classes."""
    return Bundle(zipped(files_of(java_classes())), ROOT / "runtime-images/java/bootstrap", java_runtime(folder))


def java_in_jar(folder: Path) -> Bundle:
    """The same as a jar below lib/."""
    classes = {name: bytes(body) for name, body in files_of(java_classes()).items()}  # type: ignore[arg-type]
    code = zipped({"lib/suite.jar": zipped({**classes})})
    return Bundle(code, ROOT / "runtime-images/java/bootstrap", java_runtime(folder))


def java_runtime(folder: Path) -> Path:
    """A folder with the client and its library where the bootstrap looks for them."""
    runtime = folder / "runtime"
    runtime.mkdir()
    jars = maven.client(ROOT, CACHE)
    (runtime / "lib").symlink_to(jars)
    unpack = [sys.executable, ROOT / "runtime-images/java/unpack-library", jars, runtime / "jni/libaws-lambda-jni.so"]
    run(unpack, folder / "unpack.log")
    return runtime


def java_classes() -> Path:
    """The handler, compiled."""
    jars = maven.client(ROOT, CACHE)

    def make(draft: Path) -> None:
        source = HANDLERS / "java/Handler.java"
        run(["javac", "--release", "17", "-cp", f"{jars}/*", "-d", draft, source], draft.parent / "javac.log")

    key = digests.key([jars.name], HANDLERS / "java", ["Handler.java"])
    return trees.made_once(CACHE / "suite", f"java-{key}", "the suite's handler in Java", make)


def go(folder: Path) -> Bundle:
    """One static program."""

    def make(draft: Path) -> None:
        env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}
        build = ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", draft / "bootstrap", "."]
        run(build, draft.parent / "go.log", cwd=HANDLERS / "go", env=env)

    key = digests.key([platform.machine()], HANDLERS / "go", ["go.mod", "go.sum", "main.go"])
    return program(trees.made_once(CACHE / "suite", f"go-{key}", "the suite's handler in Go", make))


def rust(folder: Path) -> Bundle:
    """One program; the first compilation takes one to five minutes."""

    def make(draft: Path) -> None:
        source = draft.parent / "source"
        shutil.copytree(HANDLERS / "rust", source)
        run(["cargo", "build", "--release", "--quiet"], draft.parent / "cargo.log", cwd=source)
        (source / "target/release/bootstrap").rename(draft / "bootstrap")

    key = digests.key([platform.machine()], HANDLERS / "rust", ["Cargo.toml", "src"])
    return program(trees.made_once(CACHE / "suite", f"rust-{key}", "the suite's handler in Rust", make))


def program(tree: Path) -> Bundle:
    """A package for an OS-only runtime."""
    return Bundle(zipped({"bootstrap": (tree / "bootstrap").read_bytes()}, executable=("bootstrap",)))


def other_handler(one: Language, name: str, handler: str) -> Language:
    """The same language with another handler, which is another environment."""
    from dataclasses import replace

    return replace(one, name=name, handler=handler)


PYTHON = Language("Python", "python3.11", "index.handler", python, (), stack="stackTrace")
NODE22 = Language("Node.js 22", "nodejs22.x", "index.handler", nodejs(22), npm.TOOLS, stack="trace")
NODE24 = Language("Node.js 24", "nodejs24.x", "index.handler", nodejs(24), npm.TOOLS, stack="trace")
COMMON_JS = other_handler(NODE24, "Node.js 24, CommonJS", "common.handler")
JAVA = Language(
    "Java",
    "java17",
    "suite.Handler::handleRequest",
    java,
    ("java", "javac", "mvn"),
    stack="stackTrace",
    error_type="suite.Handler$Broken",
)
JAR = Language(
    "Java, jar", "java17", "suite.Handler", java_in_jar, JAVA.tools, stack="stackTrace", error_type=JAVA.error_type
)
GO = Language("Go", "provided.al2023", "any", go, ("go",))
RUST = Language("Rust", "provided.al2023", "any", rust, ("cargo", "cc"))

ALL = (PYTHON, NODE22, NODE24, COMMON_JS, JAVA, JAR, GO, RUST)
STREAMING = (
    other_handler(NODE22, "Node.js 22, streaming", "index.stream"),
    other_handler(NODE24, "Node.js 24, streaming", "index.stream"),
    GO,
    RUST,
)

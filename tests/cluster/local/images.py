"""The images that Lambent consists of: the one list. How they are built is building.py's business.

An image's build context is the repository's root, but only the declared inputs and what `prepare` made are
in it: what is not declared here cannot get into an image, and whatever is changes its tag.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import maven, npm, trees, wheels
from .talking import run


@dataclass(frozen=True)
class Base:
    """A root file system of Debian packages, for machines without any image registry."""

    name: str
    suite: str
    packages: tuple[str, ...]
    users: tuple[str, ...] = ()  # lines of /etc/passwd
    groups: tuple[str, ...] = ()  # lines of /etc/group
    variant: str = "essential"  # of mmdebstrap; "extract" unpacks the named packages and nothing else
    commands: tuple[str, ...] = ()  # shell, run at the end with the root as $1


@dataclass(frozen=True)
class Image:
    """One image. Its tag is `localhost/lambent/<name>:<version>-<key of its inputs>`."""

    name: str
    version: str
    dockerfile: str
    inputs: tuple[str, ...]  # files and folders below the repository's root
    base: Base
    # called with the repository, the context and a folder to keep things in; the inputs determine what it makes
    prepare: Callable[[Path, Path, Path], None] = lambda repository, context, cache: None


def site_packages(requirements: str, target: str, python: str = "3.11") -> Callable[[Path, Path, Path], None]:
    """Prepare by installing a locked requirements file of the repository, for a Python, into a folder of the context."""

    def prepare(repository: Path, context: Path, cache: Path) -> None:
        wheels.install(repository / requirements, context / target, cache / "wheels", python)

    return prepare


PYTHON = Base(
    name="python",
    suite="bookworm",
    packages=("python3", "libstdc++6", "ca-certificates", "tzdata"),
    users=("sbx_user1051:x:993:990::/home/sbx_user1051:/sbin/nologin",),  # whom Lambda runs functions as
    groups=("sbx_user1051:x:990:",),
)

WORKSHOP = Base(
    name="workshop",
    suite="bookworm",
    packages=("gcc", "libc6-dev", "libpython3.11-dev", "python3", "zlib1g-dev"),
)

IMAGES = (
    Image(
        name="lambent",
        version="0.1.0",
        dockerfile="operator/Dockerfile",
        inputs=("operator/Dockerfile", "operator/lambent", "requirements/control-plane.txt"),
        base=PYTHON,
        prepare=site_packages("requirements/control-plane.txt", "build/images/lambent/site-packages"),
    ),
    Image(
        name="python",
        version="3.11",
        dockerfile="runtime-images/python/Dockerfile",
        inputs=("runtime-images/python", "operator/lambent/__init__.py", "operator/lambent/agent"),
        base=PYTHON,
        prepare=site_packages("runtime-images/python/requirements.txt", "build/images/python/site-packages"),
    ),
    Image(
        name="provided",
        version="al2023",
        dockerfile="runtime-images/provided/Dockerfile",
        inputs=("runtime-images/provided", "operator/lambent/__init__.py", "operator/lambent/agent"),
        base=PYTHON,
    ),
    Image(
        name="agent",
        version="0.1.0",
        dockerfile="runtime-images/agent/Dockerfile",
        inputs=("runtime-images/agent", "operator/lambent/__init__.py", "operator/lambent/agent"),
        base=WORKSHOP,
    ),
)

_AGENT = ("operator/lambent/__init__.py", "operator/lambent/agent")
_TRIXIE = Base("python-trixie", "trixie", PYTHON.packages, PYTHON.users, PYTHON.groups)


def _java(major: int, suite: str) -> Image:
    packages = (*PYTHON.packages, f"openjdk-{major}-jre-headless")
    base = Base(f"java{major}", suite, packages, PYTHON.users, PYTHON.groups)
    inputs = ("runtime-images/java", *_AGENT)
    return Image(f"java{major}", str(major), "runtime-images/java/Dockerfile", inputs, base, java_client)


def java_client(repository: Path, context: Path, cache: Path) -> None:
    """Prepare by bringing the jars of AWS's client."""
    trees.link(maven.client(repository, cache), context / "build/images/java/lib")


def nodejs(major: int) -> Callable[[Path, Path, Path], None]:
    """Prepare by bringing Node.js of a major and AWS's client."""

    def prepare(repository: Path, context: Path, cache: Path) -> None:
        folder = context / "build/images/nodejs"
        trees.link(npm.client(repository, max(major, 22), cache), folder / "runtime")
        (folder / "lang").mkdir()
        if major > 20:  # which is Debian's own
            trees.link(npm.node(repository, major, cache) / "bin", folder / "lang/bin")

    return prepare


def _nodejs(major: int, base: Base = PYTHON) -> Image:
    inputs = ("runtime-images/nodejs", *_AGENT)
    return Image(f"nodejs{major}", str(major), "runtime-images/nodejs/Dockerfile", inputs, base, nodejs(major))


RUNTIMES = (
    Image(
        name="python313",
        version="3.13",
        dockerfile="runtime-images/python/Dockerfile",
        inputs=("runtime-images/python", *_AGENT),
        base=_TRIXIE,
        prepare=site_packages("runtime-images/python/requirements.txt", "build/images/python/site-packages", "3.13"),
    ),
    _nodejs(20, Base("nodejs20", "trixie", (*PYTHON.packages, "nodejs"), PYTHON.users, PYTHON.groups)),
    _nodejs(22),
    _nodejs(24),
    _java(17, "bookworm"),
    _java(21, "trixie"),
)
"""Further managed runtimes: built when they are named. The tests of runtimes name them; the demo needs none."""

_CLIENT = "runtime-images/python/requirements.txt"
_CLIENT_FILES = site_packages(_CLIENT, "build/images/sample/site-packages")
_NO_SHELL = Base(
    name="no-shell",
    suite="bookworm",
    packages=PYTHON.packages,
    commands=('rm -f "$1"/bin/*sh "$1"/usr/bin/*sh "$1"/usr/bin/apt* "$1"/usr/bin/dpkg* "$1"/usr/bin/env',),
)
_MUSL = Base(
    name="musl",
    suite="bookworm",
    packages=("busybox-static", "musl"),
    variant="extract",
)


def go_program(folder: str, target: str) -> Callable[[Path, Path, Path], None]:
    """Prepare by compiling a Go module of the repository into one static program."""

    def prepare(repository: Path, context: Path, cache: Path) -> None:
        env = {**os.environ, "CGO_ENABLED": "0", "GOOS": "linux", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}
        build = ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", context / target, "."]
        run(build, cache / "go-sample.log", cwd=context / folder, env=env)

    return prepare


def _sample(name: str, base: Base, *inputs: str, prepare: Callable[[Path, Path, Path], None] = _CLIENT_FILES) -> Image:
    folder = f"examples/images/{name}"
    return Image(f"sample-{name}", "1", f"{folder}/Dockerfile", (folder, *inputs), base, prepare)


SAMPLES = (
    _sample("python", PYTHON, _CLIENT),
    _sample("go", PYTHON, prepare=go_program("examples/images/go", "build/images/sample/bootstrap")),
    _sample("shell", _MUSL, prepare=lambda repository, context, cache: None),
    _sample("distroless", _NO_SHELL, _CLIENT, "examples/images/python/app.py"),
    _sample("aws-base", PYTHON, _CLIENT, "examples/images/python/app.py"),
)
"""Images of users, for the tests of image functions: built when they are named, and never loaded with the others."""

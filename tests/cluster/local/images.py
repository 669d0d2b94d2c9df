"""The images that Lambent consists of: the one list. How they are built is building.py's business.

An image's build context is the repository's root, but only the declared inputs and what `prepare` made are
in it: what is not declared here cannot get into an image, and whatever is changes its tag.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import wheels


@dataclass(frozen=True)
class Base:
    """A root file system of Debian packages, for machines without any image registry."""

    name: str
    suite: str
    packages: tuple[str, ...]
    users: tuple[str, ...] = ()  # lines of /etc/passwd
    groups: tuple[str, ...] = ()  # lines of /etc/group


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


def site_packages(requirements: str, target: str) -> Callable[[Path, Path, Path], None]:
    """Prepare by installing a locked requirements file of the repository into a folder of the context."""

    def prepare(repository: Path, context: Path, cache: Path) -> None:
        wheels.install(repository / requirements, context / target, cache / "wheels")

    return prepare


PYTHON = Base(
    name="python",
    suite="bookworm",
    packages=("python3", "libstdc++6", "ca-certificates", "tzdata"),
    users=("sbx_user1051:x:993:990::/home/sbx_user1051:/sbin/nologin",),  # whom Lambda runs functions as
    groups=("sbx_user1051:x:990:",),
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
)

"""The two programs that build images from Dockerfiles: Docker, and buildah where there is no Docker.

With Docker each Dockerfile's own public base is used; buildah starts from a base that was made of Debian
packages, because a machine without Docker may have no image registry either. The same Dockerfiles serve
both. Both keep their layers, so that a change of code rebuilds only what follows it.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from . import bases
from .images import Base, Image
from .state import State
from .talking import Failed, run


class Builder(Protocol):
    """What building.py needs."""

    def build(self, image: Image, context: Path, tag: str, archive: Path) -> None:
        """Build from a staged context, save as a docker archive that holds `tag`."""

    def forget(self, tag: str) -> None:
        """Give back the space of an image whose archive goes."""


@dataclass(frozen=True)
class Docker:
    """NOT RUN on the machine this was written on: it has no Docker daemon."""

    log: Path

    def build(self, image: Image, context: Path, tag: str, archive: Path) -> None:
        run(["docker", "build", "-q", "-t", tag, "-f", context / image.dockerfile, context], self.log)
        run(["docker", "save", "-o", archive, tag], self.log)

    def forget(self, tag: str) -> None:
        run(["docker", "rmi", tag], self.log)


@dataclass(frozen=True)
class Buildah:
    """buildah with storage of its own in the state; no daemon, no registry, no user namespaces."""

    state: State
    log: Path

    def build(self, image: Image, context: Path, tag: str, archive: Path) -> None:
        # --pull-never: a base that is missing here must fail, not ask a registry.
        names: list[str | Path] = ["-f", context / image.dockerfile, "-t", tag]
        base = self.base(image.base)
        self.run("build", "--layers", "--pull-never", "--build-arg", f"BASE={base}", *names, context)
        self.run("push", tag, f"docker-archive:{archive}:{tag}")

    def forget(self, tag: str) -> None:
        self.run("rmi", tag)

    def base(self, base: Base) -> str:
        """The base as an image in buildah's storage, named by its key; made when it is not there."""
        name = f"localhost/lambent-base/{base.name}:{bases.key(base)}"
        try:
            self.run("inspect", "--type", "image", name)
        except Failed:
            root = bases.root_file_system(self.state, base)
            with tempfile.TemporaryDirectory(dir=self.state.images) as folder:
                os.link(root, Path(folder) / "root.tar")
                (Path(folder) / "Dockerfile").write_text("FROM scratch\nADD root.tar /\n")
                self.run("build", "--layers=false", "-t", name, folder)
        return name

    def run(self, *arguments: str | Path) -> None:
        storage = ["--root", f"{self.state.root}/buildah", "--runroot", f"{self.state.root}/buildah-run"]
        command = ["buildah", *storage, "--storage-driver", "overlay", *arguments]
        run(command, self.log, env={**os.environ, "BUILDAH_ISOLATION": "chroot"})

"""Building images: stage the declared inputs, prepare, build, save as docker archive; skip what is there.

Who builds, and from which base, is builders.py's business.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import bases, digests
from .builders import Buildah, Builder, Docker
from .images import IMAGES, RUNTIMES, SAMPLES, Image
from .state import State
from .talking import Failed, step

REPOSITORY = Path(__file__).resolve().parents[3]
KEPT_ARCHIVES = 3  # a name; older ones are rebuilt in seconds


@dataclass(frozen=True)
class Built:
    """An image that is ready to be loaded."""

    name: str
    tag: str
    archive: Path


def build(state: State, names: Iterable[str], with_docker: bool) -> list[Built]:
    """Build the named images; when none is named, all that Lambent consists of."""
    wanted = set(names)
    everything = (*IMAGES, *RUNTIMES, *SAMPLES)
    if unknown := wanted - {image.name for image in everything}:
        raise Failed(f"no such image: {', '.join(sorted(unknown))}; there are {', '.join(i.name for i in everything)}")
    for leftover in (*state.images.glob("tmp*"), *(state.root / "wheels").glob("tmp*")):
        shutil.rmtree(leftover, ignore_errors=True)  # of a build that was killed: nobody else builds now
    chosen = [image for image in everything if image.name in wanted] if wanted else IMAGES
    return [build_one(state, image, with_docker) for image in chosen]


def tag_of(image: Image, repository: Path, with_docker: bool) -> str:
    """The tag that says what is in the image."""
    base = "docker" if with_docker else bases.key(image.base)
    try:
        key = digests.key([image.dockerfile, base], repository, image.inputs)
    except FileNotFoundError as missing:
        raise Failed(f"image {image.name} needs {missing}, which is not there") from missing
    return f"localhost/lambent/{image.name}:{image.version}-{key}"


def build_one(state: State, image: Image, with_docker: bool) -> Built:
    """Build one image unless its archive is there."""
    tag = tag_of(image, REPOSITORY, with_docker)
    archive = state.images / f"{image.name}-{tag.rpartition(':')[2]}.tar"
    if archive.exists():
        os.utime(archive)  # used just now: the oldest are removed first
        return Built(image.name, tag, archive)
    state.images.mkdir(parents=True, exist_ok=True)
    log = state.logs / f"image-{image.name}.log"
    with step(f"building image {tag}"), tempfile.TemporaryDirectory(dir=state.images) as scratch:
        context = stage(image, Path(scratch) / "context", state.root)
        draft = Path(scratch) / "image.tar"
        builder: Builder = Docker(log) if with_docker else Buildah(state, log)
        builder.build(image, context, tag, draft)
        draft.replace(archive)
    for old in old_archives(state.images, image.name):
        with suppress(Failed):  # the builder may have lost it on its own
            builder.forget(f"{tag.partition(':')[0]}:{old.stem.removeprefix(f'{image.name}-')}")
        old.unlink()
    return Built(image.name, tag, archive)


def stage(image: Image, context: Path, cache: Path) -> Path:
    """A folder with the declared inputs at their places, and what `prepare` adds."""
    for path in image.inputs:
        for file in digests.files_below(REPOSITORY / path):
            target = context / file.relative_to(REPOSITORY)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
    image.prepare(REPOSITORY, context, cache)
    return context


def old_archives(folder: Path, name: str) -> list[Path]:
    """The archives of an image but for those that were used last."""
    pattern = f"{name}-*-{'?' * digests.KEY_LENGTH}.tar"
    return sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime)[:-KEPT_ARCHIVES]

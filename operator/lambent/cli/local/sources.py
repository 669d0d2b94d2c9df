"""Where the code is on this machine: a folder, or the manifest itself. And layers, merged as Lambda merges them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lambent.cli.outcomes import CommandFailed, ExitCode

from .manifests import Manifest

_IN_THE_MANIFEST = ("inline", "zipFile")
_SUFFIXES = {"python": (".py", "/__init__.py"), "nodejs": (".js", ".mjs", ".cjs")}


@dataclass(frozen=True, slots=True)
class Source:
    """`folder` becomes the task root as it is; without one, the code is in the manifest and unpacked by the agent."""

    folder: Path | None
    note: str = ""
    """What a person should know about the choice."""


def choose(manifest: Manifest, given: str | None) -> Source:
    """The folder that was given, else what the manifest holds, else the manifest's own folder if the handler is there.

    Raises:
        CommandFailed: the code is somewhere else, and nobody said where a copy is.
    """
    if manifest.spec.get("packageType") == "Image":
        raise CommandFailed(
            ExitCode.NOT_READY, f"{manifest.name} is a container image: it runs only in a container, not locally"
        )
    if given is not None:
        folder = Path(given).resolve()
        if not folder.is_dir():
            raise CommandFailed(ExitCode.USAGE, f"--code {given} is no folder")
        return Source(folder)
    stated = [name for name in manifest.code if manifest.code[name] is not None]
    if not stated or any(name in stated for name in _IN_THE_MANIFEST):
        return Source(None)  # with nothing stated the model has the word
    folder = manifest.path.resolve().parent
    if holds_handler(folder, manifest.text("runtime"), manifest.text("handler")):
        return Source(folder, f"code.{stated[0]} is not fetched: the code is taken from {folder}")
    raise CommandFailed(
        ExitCode.USAGE,
        f"code.{stated[0]} is not fetched for a local run, and {folder} has no {manifest.text('handler')}",
        "give the folder of the code: --code DIR",
    )


def holds_handler(folder: Path, runtime: str, handler: str) -> bool:
    """Whether what the handler names is there."""
    if runtime.startswith("provided"):
        return (folder / "bootstrap").is_file()
    family = "python" if runtime.startswith("python") else "nodejs"
    module = handler.rpartition(".")[0]
    if not module:
        return False
    stem = module.replace(".", "/") if family == "python" else module
    return any((folder / f"{stem}{suffix}").is_file() for suffix in _SUFFIXES[family])


def merge_layers(layers: Sequence[Path], root: Path) -> Path:
    """What stands for /opt: a later layer's file replaces an earlier one's. Links where the disk can, else copies.

    Raises:
        CommandFailed: one of them is no folder, or a file stands where another has a folder.
    """
    for layer in layers:
        if not layer.is_dir():
            raise CommandFailed(ExitCode.USAGE, f"--layer {layer} is no folder")
    if len(layers) == 1:
        return layers[0].resolve()
    root.mkdir()
    for layer in layers:
        try:
            shutil.copytree(layer, root, copy_function=_link, dirs_exist_ok=True)
        except (OSError, shutil.Error) as error:
            raise CommandFailed(ExitCode.USAGE, f"--layer {layer} cannot be merged: {error}") from error
    return root


def _link(source: str, target: str) -> None:
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)

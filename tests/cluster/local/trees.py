"""Folders that are made once: fetched or compiled, kept by the key of what they were made from.

Several processes may want the same tree at once (an image build and the tests of the runtimes): one makes it, the
others wait. What is killed half way leaves a draft that nobody mistakes for the tree.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from .talking import step


def made_once(cache: Path, key: str, what: str, make: Callable[[Path], None]) -> Path:
    """The tree `key` below `cache`; `make` fills an empty folder when it is not there. Nobody writes into it later."""
    tree = cache / key
    if tree.exists():
        return tree
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / f"{key}.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tree.exists():
            with step(f"making {what}"), tempfile.TemporaryDirectory(dir=cache, prefix=f"{key}.draft-") as scratch:
                draft = Path(scratch) / "tree"
                draft.mkdir()
                make(draft)
                draft.rename(tree)
    return tree


def link(tree: Path, target: Path) -> None:
    """Bring a tree to its place: links instead of copies, since whoever reads it only reads it."""
    shutil.copytree(tree, target, copy_function=os.link, symlinks=True, dirs_exist_ok=True)

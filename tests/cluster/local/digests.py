"""Content keys: the same inputs give the same short name on every machine, whatever the checkout's path."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

KEY_LENGTH = 12
IGNORED = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".DS_Store"}


def files_below(path: Path) -> Iterator[Path]:
    """Every file at or below `path` in a fixed order, without what programs leave behind."""
    if path.is_file():
        yield path
    elif path.is_dir():
        for child in sorted(path.iterdir()):
            if child.name not in IGNORED and child.suffix != ".pyc":
                yield from files_below(child)
    else:
        raise FileNotFoundError(path)


def key(texts: Iterable[str], root: Path, paths: Iterable[str] = ()) -> str:
    """The key of some texts and of the files at `paths` below `root`: names, executable bits and bytes."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"text {len(text.encode())}\n{text}".encode())
    for path in paths:
        for file in files_below(root / path):
            body = file.read_bytes()
            runs = "x" if file.stat().st_mode & 0o100 else "-"
            digest.update(f"file {file.relative_to(root).as_posix()} {runs} {len(body)}\n".encode())
            digest.update(body)
    return digest.hexdigest()[:KEY_LENGTH]

"""What has changed: files of the code, the manifest and the event, looked at a few times a second."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

State = dict[str, tuple[int, int, int]]
"""Path → modification time (ns), size, inode."""

_POLL_SECONDS = 0.2
_SETTLED_SECONDS = 0.1
"""An editor or a build writes many files: it has ended when nothing changes for so long."""
_SHARE = 20
"""Looking takes at most a twentieth of the time, however many files there are."""
_PASSED_OVER = frozenset({"__pycache__", "node_modules", "site-packages"})
_UNINTERESTING = (".pyc", ".swp", ".swx", "~")


@dataclass(frozen=True, slots=True)
class Watched:
    """Files and folders that are looked at, and one that we write ourselves."""

    places: tuple[str, ...]
    own: str | None = None


def look(watched: Watched) -> State:
    """Files and, in folders, everything but hidden folders, caches and installed packages."""
    found: State = {}
    for place in watched.places:
        if os.path.isdir(place):  # noqa: PTH112  a path a poll: pathlib costs more than the question
            _look_into(place, found)
        else:
            _note(place, place, found)
    if watched.own is not None:
        found.pop(str(Path(watched.own).resolve()), None)
    return found


def changes(before: State, after: State) -> list[str]:
    """Paths that are new, gone or different."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def wait_for_change(
    watched: Watched, before: State, pause: Callable[[float], None] = time.sleep
) -> tuple[list[str], State]:
    """Blocks until something differs from `before` and has come to rest: what, and how it is now."""
    while True:
        begun = time.monotonic()
        now = look(watched)
        cost = time.monotonic() - begun
        if now != before:
            pause(_SETTLED_SECONDS)
            while (later := look(watched)) != now:
                now = later
                pause(_SETTLED_SECONDS)
            if now != before:
                return changes(before, now), now
        pause(max(_POLL_SECONDS, _SHARE * cost))


def _look_into(folder: str, found: State) -> None:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name in _PASSED_OVER or entry.name.endswith(_UNINTERESTING):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if not entry.name.startswith("."):
                        _look_into(entry.path, found)
                else:
                    _note(entry.path, entry, found)
    except OSError:
        return  # gone meanwhile, which the next look sees


def _note(path: str, file: str | os.DirEntry[str], found: State) -> None:
    try:
        status = os.stat(file)  # noqa: PTH116
    except OSError:
        return
    found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)

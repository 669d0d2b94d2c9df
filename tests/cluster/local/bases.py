"""Base images from Debian packages, where there is no registry to pull one from."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import asdict
from pathlib import Path

from . import digests
from .images import Base
from .state import State
from .talking import run, step

# What a function or a server never reads; saves a third of the size.
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


def key(base: Base) -> str:
    """The key of what is asked for; security updates come with a new base only when it is removed."""
    asked = asdict(base)
    for name, ordinary in (("variant", "essential"), ("commands", ())):  # bases that do without keep their keys
        if asked[name] == ordinary:
            del asked[name]
    return digests.key([json.dumps(asked), *LEFT_OUT], Path("/"))


def root_file_system(state: State, base: Base) -> Path:
    """The tar of the base, made when it is not there."""
    target = state.images / f"base-{base.name}-{key(base)}.tar"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.tar")
    with step(f"making the base {base.name} from Debian {base.suite}"):
        run([*mmdebstrap(base), base.suite, draft], state.logs / "mmdebstrap.log")
    os.replace(draft, target)
    return target


def mmdebstrap(base: Base) -> list[str]:
    """The command line but its last two words."""
    hooks = [
        f'echo {shlex.quote(line)} >> "$1/etc/{file}"'
        for file, lines in (("passwd", base.users), ("group", base.groups))
        for line in lines
    ]
    clean = 'rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/var/log/*'
    return [
        "mmdebstrap",
        f"--variant={base.variant}",
        "--dpkgopt=force-unsafe-io",  # no fsync for each file of a tree that becomes one tar
        f"--include={','.join(base.packages)}",
        *(f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT),
        '--essential-hook=mkdir -p "$1/usr/share/man/man1"',  # Java's alternatives want to put links there
        *(f"--customize-hook={hook}" for hook in (*hooks, clean, *base.commands)),
    ]

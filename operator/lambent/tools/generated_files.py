"""Generated files in the checkout: write them, or say which differ from what would be written."""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
"""The checkout: the workshop runs in it, never from an installed package."""


def settle(files: dict[Path, str], *, check: bool) -> int:
    """Write every file, or with `check` only compare; the exit status of the tool."""
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        if check:
            print(f"{path.relative_to(REPOSITORY)} is not what its generator writes", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path])
            print(f"wrote {path.relative_to(REPOSITORY)}")
    return 1 if check and stale else 0

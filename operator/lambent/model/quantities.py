"""Amounts of CPU as Kubernetes writes them; here they are whole millicores."""

from __future__ import annotations

import re

_CPU = re.compile(r"([0-9]{1,9})(m?)", re.ASCII)


def cpu(millicores: int) -> str:
    """The quantity of so many millicores."""
    return f"{millicores}m"


def millicores(quantity: object) -> int:
    """The millicores of a quantity in the API server's own form: `72m`, `1`, `1500m`.

    Raises:
        ValueError: for everything else, also for what Kubernetes takes but never answers (`0.5`, `1e3`).
    """
    match = _CPU.fullmatch(quantity) if isinstance(quantity, str) else None
    if match is None:
        raise ValueError(f"not a quantity of CPU: {quantity!r}")
    number = int(match[1])
    return number if match[2] else number * 1000

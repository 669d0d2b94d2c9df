"""Whose is an object? Without the kinds themselves: the command line asks, and is to start quickly."""

from __future__ import annotations

from typing import Any

from . import names


def owner_function(metadata: dict[str, Any]) -> str:
    """Uid of the Function that an object's owner references name; empty without one."""
    owners = (
        owner["uid"]
        for owner in metadata.get("ownerReferences") or []
        if owner.get("kind") == "Function" and owner.get("apiVersion") == names.API_VERSION
    )
    return next(owners, "")

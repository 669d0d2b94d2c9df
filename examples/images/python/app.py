"""Says who and where it is."""

import os
from pathlib import Path
from typing import Any


def handler(event: Any, context: Any) -> dict[str, Any]:
    """The event, and what the image and Lambda gave."""
    try:
        Path("/written").touch()
        root = "writable"
    except OSError as error:
        root = error.strerror or "refused"
    Path("/tmp/kept").write_text("x")  # noqa: S108  Lambda's one writable folder
    return {
        "event": event,
        "uid": os.getuid(),
        "folder": str(Path.cwd()),
        "greeting": os.environ.get("GREETING"),
        "handler": os.environ.get("_HANDLER"),
        "names": sorted(os.environ),
        "root": root,
        "function": context.function_name,
    }

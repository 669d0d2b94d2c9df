"""Where things are: the checkout, the machine's state directory, the results, and free ports on loopback."""

from __future__ import annotations

import os
import socket
from pathlib import Path

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parents[1]
OPERATOR = ROOT / "operator"
FUNCTIONS = BENCH / "functions"
RESULTS = ROOT / "build" / "bench"


def state() -> Path:
    """Outside every checkout, kept between runs: LAMBENT_STATE, else the user's cache."""
    chosen = os.environ.get("LAMBENT_STATE")
    if chosen:
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "lambent"


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        port: int = listener.getsockname()[1]
        return port

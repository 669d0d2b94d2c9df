"""`lambent selftest`: the composition root of `helm test`. Talks to a person: `helm test` prints what it says."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import aiohttp

from lambent.adapters.kube.client import KubeClient
from lambent.model.errors import Refused, Unavailable

from .proving import Disproved, Proof
from .settings import Settings


def run() -> int:
    """0 when a function was made, answered and was removed; 1 with the reason when not; 2 for settings."""
    try:
        settings = Settings.from_environment(os.environ)
        token = Path(settings.token_file).read_text().strip()
    except (ValueError, OSError) as error:
        print(f"lambent selftest: {error}", file=sys.stderr)
        return 2
    return asyncio.run(_main(settings, token))


async def _main(settings: Settings, token: str) -> int:
    try:
        async with await KubeClient.connect() as client, aiohttp.ClientSession() as session:
            await Proof(client, session, settings, token, _tell).give()
    except (Disproved, Refused, Unavailable) as error:
        _tell(f"FAILED: {error}")
        return 1
    _tell("PASSED")
    return 0


def _tell(line: str) -> None:
    print(line, flush=True)

"""`lambent depart`: the composition root of a departure. Talks to a person: helm prints what it says."""

from __future__ import annotations

import asyncio
import os
import sys

from lambent.adapters.kube.client import KubeClient
from lambent.model.errors import Refused, Unavailable

from .leaving import Departure
from .settings import Settings


def run() -> int:
    """Leave. 0 also when something stays, which is told; 1: the API server is away or forbids it; 2: the settings."""
    try:
        settings = Settings.from_environment(os.environ)
    except ValueError as error:
        print(f"lambent depart: {error}", file=sys.stderr)
        return 2
    return asyncio.run(_main(settings))


async def _main(settings: Settings) -> int:
    try:
        async with await KubeClient.connect() as client:
            await Departure(client, settings, _tell).leave()
    except Unavailable as error:
        _tell(f"The API server does not answer: {error}")
        return 1
    except Refused as error:
        _tell(f"This account may not do its work: {error}")
        _tell("`helm uninstall --no-hooks` goes without it; execution environments then stay.")
        return 1
    return 0


def _tell(line: str) -> None:
    print(line, flush=True)

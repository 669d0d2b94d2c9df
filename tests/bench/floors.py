"""Floors of this machine: what the load program costs by itself, and what a raw proxy of aiohttp reaches on one core."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

from . import backends
from .loads import Loaded, Stretch, load
from .machines import Cores
from .processes import cpu_seconds

_STRETCH = Stretch(warmup_s=0.5, least_s=2.0, most_s=2.0)
_CLIENTS = 16


def measure(cores: Cores) -> dict[str, Any]:
    """`loader_floor` (one client, a responder that does nothing) and `raw_proxy` (16 clients): about 8 seconds."""
    return {"loader_floor": _floor(cores), "raw_proxy": _raw_proxy(cores)}


def _floor(cores: Cores) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory() as folder,
        backends.responder(backends.echo_answer(), core=cores.test, folder=Path(folder)) as (target, _),
    ):
        return _brief(load(target, _STRETCH, connections=1, core=cores.load))


def _raw_proxy(cores: Cores) -> dict[str, Any]:
    """The proxy on the core under test; load and stub on the other, as for every gateway figure."""
    with (
        tempfile.TemporaryDirectory() as folder,
        backends.raw_proxy(proxy_core=cores.test, stub_core=cores.load, folder=Path(folder)) as (target, watched),
    ):
        before = [cpu_seconds(process.pid) for _, process in watched]
        loaded = load(target, _STRETCH, connections=_CLIENTS, core=cores.load)
        used = {
            what: round((cpu_seconds(process.pid) - start) / loaded.sent * 1e6, 1)
            for (what, process), start in zip(watched, before, strict=True)
        }
        return {**_brief(loaded), "cpu_us": used}


def _brief(loaded: Loaded) -> dict[str, Any]:
    fields = dataclasses.asdict(loaded)
    return {name: fields[name] for name in ("n", "rate", "errors", "loader_cpu_us", "latency")}

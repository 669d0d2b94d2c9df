"""The agent's process: opens its doors, says where they are, and waits for its end."""

import asyncio
import gc
import json
import os
import signal
import time

from . import endings
from .hosting import Host
from .journal import Journal
from .kernel import hear_only_of_ends
from .logs import Output
from .memory import choose_meter
from .serving import Door, end_orphans
from .settings import Settings

_STDOUT = 1
_LAST_WORDS = 1.0  # seconds that a sink has to take what is left


async def serve(settings: Settings) -> None:
    """Until drained, orphaned or told to end."""
    loop = asyncio.get_running_loop()
    output = Output(loop, _STDOUT)
    journal = Journal(output, settings.log_sink)
    host = Host(settings, journal, choose_meter())
    door = Door(host, settings.token_sha256)
    loop.add_signal_handler(signal.SIGCHLD, host.processes.reap)
    hear_only_of_ends()  # each freeze would wake us twice
    endings.listen(loop, lambda: _end_gracefully(host), lambda sender: _tell_ignored(journal, sender))
    runtime_server = await loop.create_server(host.api.connect, "127.0.0.1", settings.runtime_port)
    runtime_port = runtime_server.sockets[0].getsockname()[1]
    host.open(runtime_port)
    door_server = await loop.create_server(door.connect, settings.host, settings.port, backlog=128)
    _announce(settings.ready, door_server.sockets[0].getsockname()[1], runtime_port)
    loop.call_soon(_warm_up, settings)
    orphaned = asyncio.create_task(_end_orphan(host, door, settings.orphan_seconds))
    await host.ended.wait()
    orphaned.cancel()
    door_server.close()
    await host.processes.end_all()
    journal.flush()
    await asyncio.gather(_take_leave(door, settings.farewell_seconds), journal.leave(_LAST_WORDS))
    journal.flush()


async def _take_leave(door: Door, patience: float) -> None:
    """Refuses what gateways still ask until they have let go of their connections, but not for ever.

    A request that crosses the end of its environment hears NotIdle and is tried elsewhere; lost with the connection it
    could not be: nobody would know whether it had run.
    """
    limit = time.monotonic() + patience
    while door.connections and time.monotonic() < limit:  # noqa: ASYNC110  connections set no event
        await asyncio.sleep(0.01)
    # What was answered last has to leave the socket before the process does.
    for connection in list(door.connections):
        connection.close()
    await asyncio.sleep(0.02)


async def live(settings: Settings) -> None:
    """Serves, then ends the process whatever threads still do."""
    await serve(settings)
    # Executor threads may still wait for a slow code store; nothing of them is needed any more.
    os._exit(0)


def _tell_ignored(journal: Journal, sender: int) -> None:
    """The function's owner may look for it: it had no effect."""
    journal.note(f"SIGTERM of the function's process {sender} ignored: only the node ends this one")


def _end_gracefully(host: Host) -> None:
    """SIGTERM is how the kubelet says drain."""
    task = asyncio.get_running_loop().create_task(host.drain())
    task.add_done_callback(lambda _: host.ended.set())


async def _end_orphan(host: Host, door: Door, patience: float) -> None:
    if patience > 0:
        await end_orphans(door, patience)
        await host.drain()
        host.ended.set()


def _announce(ready: str, port: int, runtime_port: int) -> None:
    """For whoever let us choose our ports: one JSON line to a descriptor (a number) or a file."""
    if not ready:
        return
    line = json.dumps({"port": port, "runtimePort": runtime_port}).encode() + b"\n"
    if ready.isdigit():
        os.write(int(ready), line)
        os.close(int(ready))
    else:
        with open(ready, "wb") as file:
            file.write(line)


def _warm_up(settings: Settings) -> None:
    """While generic and unclaimed: loads what a claim needs, then lets the collector forget what never goes."""
    if settings.log_sink:
        from . import audience  # noqa: F401
    if settings.program is None:  # an image has its code in it
        import zipfile  # noqa: F401

        from . import fetching  # noqa: F401

    gc.collect()
    gc.freeze()

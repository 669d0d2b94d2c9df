"""kopf at the edge: its events fill the store, and nothing else happens in a handler.

No change handlers, daemons, timers, finalizers or annotations: those would block deletion while the controller is
down, or write to the objects. kopf runs in a thread and event loop of its own: when it ends it cancels every task of
its loop, whoever made it, and what holds up our loop does not keep it from reading. When it ends or falls silent it is
started anew; docs/decisions/0011-watching.md says why all that.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import random
import threading
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import kopf

from lambent.adapters.kube.kopf_sessions import TOKEN_FILE, Backoffs, WatchPace, session_for
from lambent.adapters.kube.pulses import Pulses
from lambent.adapters.kube.resources import ALIASES, FUNCTIONS, LAYER_VERSIONS, LAYERS, NAMESPACES, PODS, VERSIONS
from lambent.controller.store import Store
from lambent.controller.sweeping import PAGE
from lambent.model import names

log = logging.getLogger(__name__)

WATCHED = (FUNCTIONS, VERSIONS, ALIASES, PODS, LAYERS, LAYER_VERSIONS)
"""What is watched in namespaces."""
STOPPING_SECONDS = 1.0
"""The Lease has to be given back in time; a thread that will not end by then is left behind."""
NEVER_SECONDS = 1e9

logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)  # that signals are not its own is on purpose


@dataclass(frozen=True, slots=True)
class Patience:
    """How patient the watcher is, in seconds."""

    silence: float = 80.0
    """A watcher without a sign of life for so long is started anew: before the kubelet hears of it."""
    check: float = 2.0
    first_wait: float = 1.0
    longest_wait: float = 30.0
    watches: WatchPace = field(default_factory=WatchPace)
    backoffs: Backoffs = field(default_factory=Backoffs)


class Watcher:
    """Watches Functions, their versions, aliases and pods, layers and namespaces, for ever."""

    def __init__(
        self, store: Store, namespaces: tuple[str, ...], pulses: Pulses, patience: Patience = Patience()
    ) -> None:
        self._store = store
        self._namespaces = namespaces
        self._pulses = pulses
        self._patience = patience
        self._paths = tuple(_paths(namespaces))

    async def run(self) -> None:
        """Watch until cancelled. Whatever ends kopf, it is begun again."""
        loop = asyncio.get_running_loop()
        failures = 0
        try:
            while True:
                begun = loop.time()
                self._pulses.expect(self._paths)
                reason = await self._watch_once()
                failures = 1 if loop.time() - begun > self._patience.longest_wait else failures + 1
                wait = min(self._patience.longest_wait, self._patience.first_wait * 2 ** min(failures - 1, 16))
                log.error("watching begins anew in %.1f s: %s", wait, reason)
                await asyncio.sleep(wait * (0.5 + random.random() / 2))
        finally:
            self._pulses.dismiss(self._paths)

    async def _watch_once(self) -> str:
        """Returns why it ended."""
        thread = _KopfThread(self._take(), self._namespaces, self._pulses, self._patience)
        thread.start()
        try:
            while not thread.ended.done():
                await asyncio.wait({thread.ended}, timeout=self._patience.check)
                if silent := self._pulses.silent(self._patience.silence, self._paths):
                    return f"no sign of life from {', '.join(silent)}"
            error = thread.ended.exception()
            return f"kopf ended: {error!r}" if error is not None else "kopf ended"
        finally:
            thread.stop()
            await asyncio.wait({thread.ended}, timeout=STOPPING_SECONDS)

    def _take(self) -> Callable[[str, Any], None]:
        """What carries events from kopf's thread into our loop, in the order they came."""
        loop, store = asyncio.get_running_loop(), self._store

        def take(plural: str, event: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody decides any more
                loop.call_soon_threadsafe(put, store, plural, event)

        return take


def put(store: Store, plural: str, event: Any) -> None:
    """One event into the store. An object that cannot be taken at all is said, and harms nobody else."""
    try:
        gone, body = event["type"] == "DELETED", event["object"]
        if plural == NAMESPACES.plural:
            if gone:
                store.drop_namespace(body["metadata"]["name"])
            else:
                store.put_namespace(body)
        else:
            keep, drop = _takers(store)[plural]
            if gone:
                drop(body["metadata"]["uid"])
            else:
                keep(body)
    except Exception:
        log.exception("an event about one of %s cannot be taken", plural)


def _takers(store: Store) -> dict[str, tuple[Callable[[dict[str, Any]], None], Callable[[str], None]]]:
    """What takes an object of each kind, and what its end by uid."""
    return {
        FUNCTIONS.plural: (store.put_function, store.drop_function),
        PODS.plural: (store.put_pod, store.drop_pod),
        VERSIONS.plural: (store.versions.put_version, store.versions.drop_version),
        ALIASES.plural: (store.aliases.put_alias, store.aliases.drop_alias),
        LAYERS.plural: (store.layers.put_layer, store.layers.drop_layer),
        LAYER_VERSIONS.plural: (store.layers.put_version, store.layers.drop_version),
    }


class _KopfThread:
    """One life of kopf."""

    def __init__(
        self,
        take: Callable[[str, Any], None],
        namespaces: tuple[str, ...],
        pulses: Pulses,
        patience: Patience,
    ) -> None:
        self._arguments = (take, namespaces, pulses, patience)
        self._result: concurrent.futures.Future[None] = concurrent.futures.Future()
        self.ended = asyncio.wrap_future(self._result)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._stopped = False

    def start(self) -> None:
        """Begin; `ended` tells the end, with the error if it was one."""
        threading.Thread(target=self._run, name="kopf", daemon=True).start()

    def stop(self) -> None:
        """Ask it to end. kopf closes its connections when it is asked, and not when it is cancelled."""
        self._stopped = True
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._stop.set)

    def _run(self) -> None:
        try:
            asyncio.run(self._watch())
        except BaseException as error:  # noqa: BLE001 - told where it is waited for
            self._tell(error)
        else:
            self._tell(None)

    def _tell(self, error: BaseException | None) -> None:
        with contextlib.suppress(RuntimeError, concurrent.futures.InvalidStateError):  # nobody waits any more
            if isinstance(error, Exception):
                self._result.set_exception(error)
            else:
                self._result.set_result(None)

    async def _watch(self) -> None:
        take, namespaces, pulses, patience = self._arguments
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        if self._stopped:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            await kopf.operator(
                registry=registry_for(take, pulses, patience.watches),
                settings=settings_for(patience.backoffs),
                standalone=True,
                clusterwide=not namespaces,
                namespaces=namespaces,
                identity=cast(Any, "lambent-controller"),  # else kopf asks who the user is: a numeric uid has no name
                stop_flag=self._stop,
            )


def _paths(namespaces: tuple[str, ...]) -> Iterable[str]:
    """What kopf asks for, which is what its watchers are known by."""
    yield NAMESPACES.collection()
    for namespace in namespaces or (None,):
        for resource in WATCHED:
            yield resource.collection(namespace)


def registry_for(take: Callable[[str, Any], None], pulses: Pulses, pace: WatchPace) -> kopf.OperatorRegistry:
    """Handlers that hand on what they are shown."""
    registry = kopf.OperatorRegistry()

    async def login(**kwargs: Any) -> Any:
        in_cluster = "KUBERNETES_SERVICE_HOST" in os.environ and not os.environ.get("KUBECONFIG")
        connect = kopf.login_with_service_account if in_cluster else kopf.login_with_kubeconfig
        connection = connect(**kwargs)
        return connection and session_for(connection, pulses, pace, TOKEN_FILE if in_cluster else None)

    kopf.on.login(registry=registry)(login)
    for resource in (*WATCHED, NAMESPACES):
        kopf.on.event(resource.group, resource.version, resource.plural, registry=registry)(
            _handler(resource.plural, take)
        )
    return registry


def _handler(plural: str, take: Callable[[str, Any], None]) -> Any:
    async def handle(event: Any, **_: Any) -> None:
        take(plural, event)

    handle.__name__ = f"{plural}_event"
    return handle


class _NoDiffs(kopf.DiffBaseStorage):
    """kopf keeps nothing of objects, reads nothing out of their annotations and compares nothing."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        """Nothing."""


class _NoProgress(kopf.ProgressStorage):
    """Nothing is in progress: there are no handlers of changes."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        """Nothing."""

    def purge(self, **_: Any) -> None:
        """Nothing."""

    def touch(self, **_: Any) -> None:
        """Nothing."""

    def clear(self, *, essence: Any) -> Any:
        return essence


def settings_for(backoffs: Backoffs) -> kopf.OperatorSettings:
    """Settings that make kopf as quiet and as patient as it can be."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.posting.loggers = False
    settings.watching.label_selectors["", "v1", PODS.plural] = names.ENVIRONMENT_SELECTOR
    settings.scanning.disabled = True  # kinds and namespaces are fixed at start: no rights on CustomResourceDefinitions
    settings.watching.chunk_size = PAGE
    settings.watching.inactivity_timeout = NEVER_SECONDS  # the session sees to that
    settings.watching.server_timeout = 300
    settings.watching.connect_timeout = 10.0
    settings.networking.request_timeout = 60.0
    settings.networking.error_backoffs = backoffs
    settings.queueing.idle_timeout = 0.5  # a worker for each object: they are not kept
    settings.queueing.exit_timeout = 0.5
    settings.persistence.finalizer = f"{names.GROUP}/never"  # one that somebody set is none of kopf's
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.persistence.progress_storage = _NoProgress()
    settings.process.ultimate_exiting_timeout = None  # the kubelet sees to that
    return settings

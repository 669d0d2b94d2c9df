"""Logs of a function's environments: those that exist now in one order of time, then new lines as they are written.

Environments come and go: a watch tells of them, a thread reads each one's log, all lines meet in one queue.
"""

from __future__ import annotations

import heapq
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from lambent.model import names
from lambent.model.errors import Refused, Unavailable

from .clusters import Cluster, path_of
from .log_lines import Line, Progress, parse, parse_all

_READERS = 8
_AGAIN_SECONDS = 0.5
_LISTENS_SECONDS = 0.5
_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of what exists is wanted."""

    since_seconds: int | None = None
    tail: int | None = None
    """Lines of each environment."""
    ended_only: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """Something to say beside the lines."""

    message: str


class Environments:
    """The environments of one Function object, of these versions or (none given) of all."""

    def __init__(self, cluster: Cluster, function: dict[str, Any], versions: Sequence[str] = ()) -> None:
        self._cluster = cluster
        self._namespace = str(function["metadata"]["namespace"])
        self._path = path_of("pods", self._namespace)
        self._selector = f"{names.ENVIRONMENT_SELECTOR},{names.LABEL_FUNCTION_UID}={function['metadata']['uid']}"
        if versions:
            labels = map(names.version_label, versions)
            self._selector += f",{names.LABEL_VERSION} in ({','.join(labels)})"
        self._progress: dict[str, Progress] = {}
        self._reading: set[str] = set()
        self._lines: queue.SimpleQueue[Line | Told | Exception] = queue.SimpleQueue()

    def existing(self, extent: Extent) -> list[Line]:
        """Lines of all environments that exist, oldest first."""
        pods = self._cluster.objects(self._path, self._selector)
        chosen = [_name(pod) for pod in pods if not extent.ended_only or _has_ended(pod)]
        query: dict[str, str | int | bool] = {}
        if extent.since_seconds is not None:
            query["sinceSeconds"] = extent.since_seconds
        if extent.tail is not None:
            query["tailLines"] = extent.tail
        with ThreadPoolExecutor(_READERS) as readers:
            logs = list(readers.map(lambda pod: self._whole(pod, query), chosen))
        return list(heapq.merge(*logs))

    def count(self) -> int:
        """Environments whose log was read."""
        return len(self._progress)

    def follow(self) -> Iterator[Line | Told]:
        """Every further line, of every environment, for ever.

        Raises:
            Refused: we may not (any more).
        """
        threading.Thread(target=self._watch, daemon=True).start()
        while True:
            try:  # a Ctrl-C that comes just before the wait does not end it: Python hears of it between two waits
                found = self._lines.get(timeout=_LISTENS_SECONDS)
            except queue.Empty:
                continue
            if isinstance(found, Exception):
                raise found
            yield found

    def _whole(self, pod: str, query: dict[str, str | int | bool]) -> list[Line]:
        progress = self._progress.setdefault(pod, Progress())
        try:
            with self._cluster.text(self._log_path(pod), {**_log_query(), **query}) as answer:
                return [line for line in _monotonic(parse_all(pod, answer.lines())) if progress.is_new(line)]
        except Refused as error:
            if error.status in (400, 404):  # it has not started, or has just gone
                return []
            raise

    def _watch(self) -> None:
        """Start a reader for every environment that comes; failures that pass are waited out."""
        version: str | None = None
        while True:
            try:
                if version is None:
                    version = self._list()
                query = {"labelSelector": self._selector, "resourceVersion": version}
                for event in self._cluster.watch(self._path, query):
                    body = event.get("object") or {}
                    if event.get("type") == "ERROR":
                        version = None
                        break
                    version = str(body["metadata"]["resourceVersion"])
                    if event.get("type") in ("ADDED", "MODIFIED"):
                        self._read_in_background(body)
            except Refused as error:
                if error.status != 410:
                    self._lines.put(error)
                    return
                version = None
            except Unavailable as error:
                self._lines.put(Told(f"the watch broke: {error}; trying again"))
                time.sleep(_AGAIN_SECONDS * 4)
            except Exception as error:  # noqa: BLE001 - the main thread shall die of it, not wait
                self._lines.put(error)
                return

    def _list(self) -> str:
        page = self._cluster.get(self._path, {"labelSelector": self._selector})
        for pod in page.get("items") or []:
            self._read_in_background(pod)
        return str(page["metadata"]["resourceVersion"])

    def _read_in_background(self, pod: dict[str, Any]) -> None:
        name = _name(pod)
        if name not in self._reading and not (_has_ended(pod) and name in self._progress):
            self._reading.add(name)
            threading.Thread(target=self._read, args=(name,), daemon=True).start()

    def _read(self, pod: str) -> None:
        """One environment's log to its end."""
        progress = self._progress.setdefault(pod, Progress())
        try:
            while True:
                alive = self._is_alive(pod)
                started = self._read_once(pod, progress)
                if not alive:
                    return
                time.sleep(_AGAIN_SECONDS if not started else 0.1)
        except Refused as error:
            self._lines.put(error)

    def _read_once(self, pod: str, progress: Progress) -> bool:
        """Until the stream ends; False where there is none yet, or no more."""
        query: dict[str, str | int | bool] = {**_log_query(), "follow": True}
        progress.resume()
        if progress.last is not None and progress.last.stamp:
            query["sinceTime"] = progress.last.stamp
        try:
            last: Line | None = None
            with self._cluster.text(self._log_path(pod), query, silence=None) as answer:
                for raw in answer.lines():
                    last = parse(pod, raw, last)
                    if progress.is_new(last):
                        self._lines.put(last)
        except Refused as error:
            if error.status in (400, 404):
                return False
            raise
        except Unavailable as error:
            self._lines.put(Told(f"{pod}: {error}; trying again"))
            return False
        return True

    def _is_alive(self, pod: str) -> bool:
        try:
            return not _has_ended(self._cluster.get(path_of("pods", self._namespace, pod)))
        except Refused as error:
            if error.status == 404:
                return False
            raise
        except Unavailable:
            return True

    def _log_path(self, pod: str) -> str:
        return f"{path_of('pods', self._namespace, pod)}/log"


def _log_query() -> dict[str, str | int | bool]:
    return {"container": names.CONTAINER_ENVIRONMENT, "timestamps": True}


def _monotonic(lines: Iterable[Line]) -> Iterator[Line]:
    """An environment's own order holds, also where a node's clock was set back."""
    latest = 0
    for line in lines:
        latest = max(latest, line.moment)
        yield line if line.moment == latest else Line(latest, line.environment, line.stamp, line.text)


def _name(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["name"])


def _has_ended(pod: dict[str, Any]) -> bool:
    return (pod.get("status") or {}).get("phase") in _ENDED

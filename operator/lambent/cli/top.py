"""`lambent top`: what functions do now, from the gateways' metrics and the environments' pods."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import click

from lambent.model import names
from lambent.model.errors import Refused, Unavailable

from . import flags, functions, printing, rates, releases
from .clusters import Cluster, path_of
from .completing import complete_functions
from .outcomes import CommandFailed, ExitCode, failure_of
from .rates import Activity, FunctionKey, Look

_EPILOG = """\b
Examples:
  lambent top
  lambent top hello checkout --interval 5s
  lambent top --all-namespaces --sort-by rate
  lambent top --watch
  lambent top --output json

RUNNING is the number of requests that hold an environment now; the rates are of the interval between two looks at the
gateways. P50 and P99 are durations, interpolated between the metric's bounds."""

METRICS_PORT = 9090
_SCRAPERS = 8


@dataclass(frozen=True, slots=True)
class Row:
    """One function now. None: not known, or nothing happened."""

    namespace: str
    function: str
    version: str
    running: int
    idle: int | None
    starting: int | None
    activity: Activity

    @property
    def label(self) -> str:
        """The function as it is invoked."""
        return self.function if self.version == names.LATEST else f"{self.function}:{self.version}"


_SORTS: dict[str, Callable[[Row], Any]] = {
    "name": lambda row: (row.namespace, row.label),
    "running": lambda row: -row.running,
    "idle": lambda row: -(row.idle or 0),
    "starting": lambda row: -(row.starting or 0),
    "rate": lambda row: -row.activity.invocations,
    "errors": lambda row: -(row.activity.error_share or 0),
    "throttles": lambda row: -row.activity.throttles,
    "cold": lambda row: -row.activity.cold_starts,
    "p50": lambda row: -(row.activity.quantile(0.5) or 0),
    "p99": lambda row: -(row.activity.quantile(0.99) or 0),
}


@click.command(epilog=_EPILOG)
@click.argument("names_", metavar="[NAME]...", nargs=-1, shell_complete=complete_functions)
@click.option(
    "--interval",
    type=flags.Duration(),
    default="2s",
    show_default=True,
    metavar="DURATION",
    help="Time between two looks at the gateways.",
)
@click.option(
    "--sort-by",
    type=click.Choice(list(_SORTS)),
    default="name",
    show_default=True,
    metavar="COLUMN",
    help=", ".join(_SORTS) + ".",
)
@flags.output("json", "yaml")
@flags.watching
@flags.everywhere
@flags.of_release
@flags.in_cluster
def top(session: flags.Session, names_: tuple[str, ...], wanted: releases.Wanted, **words: Any) -> int:
    """Show live concurrency, environments, rates, errors, throttles, cold starts and durations of functions."""
    if words["watch"] and words["form"]:
        raise click.UsageError("--watch prints a table")
    namespace = None if words["everywhere"] else session.namespace
    only = _only(names_, namespace, chosen=session.chosen_namespace is not None)
    found = releases.find(session.cluster, wanted)
    view = _View(session.cluster, found, namespace, only)
    before = view.look()
    while True:
        time.sleep(words["interval"])
        after = view.look()
        rows = sorted(view.rows(before, after), key=_SORTS["name"])
        rows.sort(key=_SORTS[words["sort_by"]])
        _print(rows, words["form"], everywhere=namespace is None, watch=words["watch"])
        if not words["watch"]:
            return ExitCode.OK
        before = after


def _only(texts: tuple[str, ...], namespace: str | None, *, chosen: bool) -> set[tuple[str | None, str]] | None:
    if not texts:
        return None
    named = [functions.parse(text, namespace, chosen=chosen) for text in texts]
    return {(each.namespace, each.reference.name) for each in named}


class _View:
    """The gateways of some releases, and what they are asked about."""

    def __init__(
        self,
        cluster: Cluster,
        found: list[releases.Release],
        namespace: str | None,
        only: set[tuple[str | None, str]] | None,
    ) -> None:
        self._cluster, self._releases, self._namespace, self._only = cluster, found, namespace, only
        self._complained: set[str] = set()

    def look(self) -> dict[str, Look]:
        """Each gateway's counters now.

        Raises:
            CommandFailed: not one gateway could be asked.
        """
        gateways = [gateway for release in self._releases for gateway in self._gateways(release)]
        if not gateways:
            raise CommandFailed(ExitCode.UNREACHABLE, "no gateway is running")
        looks: dict[str, Look] = {}
        failures: list[Refused | Unavailable] = []
        with ThreadPoolExecutor(_SCRAPERS) as scrapers:
            for (namespace, pod, _), found in zip(gateways, scrapers.map(self._scrape, gateways), strict=True):
                if isinstance(found, Look):
                    looks[f"{namespace}/{pod}"] = found
                else:
                    failures.append(found)
                    self._complain(f"{namespace}/{pod}: {found}")
        if failures and not looks:
            raise failure_of(failures[0])
        return looks

    def rows(self, before: dict[str, Look], after: dict[str, Look]) -> list[Row]:
        """One row a function and version."""
        activities = rates.between(before, after)
        environments = self._environments()
        existing, starting = environments or (Counter(), Counter())
        rows = []
        for key in rates.keys_of(activities, existing, starting):
            if not self._is_wanted(*key[:2]):
                continue
            activity = activities.get(key, Activity())
            running = round(activity.running)
            known = environments is not None
            idle = max(0, existing[key] - running) if known else None
            rows.append(Row(*key, running, idle, starting[key] if known else None, activity))
        return rows

    def _is_wanted(self, namespace: str, function: str) -> bool:
        if self._only is not None:
            return bool({(namespace, function), (None, function)} & self._only)
        return self._namespace in (None, namespace)

    def _gateways(self, release: releases.Release) -> list[tuple[str, str, int]]:
        selector = releases.selector("gateway", release.name)
        pods = self._cluster.objects(path_of("pods", release.namespace), selector)
        running = [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Running"]
        return [(release.namespace, pod["metadata"]["name"], _metrics_port(pod)) for pod in running]

    def _scrape(self, gateway: tuple[str, str, int]) -> Look | Refused | Unavailable:
        try:
            with self._cluster.text(releases.pod_metrics_path(*gateway)) as answer:
                text = answer.read().decode("utf-8", "replace")
        except (Refused, Unavailable) as error:
            return error
        return Look(time.monotonic(), rates.parse(text))

    def _environments(self) -> tuple[Counter[FunctionKey], Counter[FunctionKey]] | None:
        """Environments that run, and that are starting; None for who may not see pods."""
        places = {self._namespace} if self._only is None else {space for space, _ in self._only}
        try:
            pods = [
                pod
                for place in ({None} if None in places else places)
                for pod in self._cluster.objects(path_of("pods", place), names.ENVIRONMENT_SELECTOR)
            ]
        except Refused as error:
            self._complain(f"environments are not shown: {error}")
            return None
        existing: Counter[FunctionKey] = Counter()
        starting: Counter[FunctionKey] = Counter()
        for pod in pods:
            phase = (pod.get("status") or {}).get("phase")
            if pod["metadata"].get("deletionTimestamp") or phase not in ("Pending", "Running"):
                continue
            (existing if phase == "Running" else starting)[_key(pod)] += 1
        return existing, starting

    def _complain(self, message: str) -> None:
        if message not in self._complained:
            self._complained.add(message)
            click.echo(f"lambent: {message}", err=True)


def _metrics_port(pod: dict[str, Any]) -> int:
    for container in pod["spec"].get("containers") or []:
        for port in container.get("ports") or []:
            if port.get("name") == "metrics":
                return int(port["containerPort"])
    return METRICS_PORT


def _key(pod: dict[str, Any]) -> FunctionKey:
    metadata = pod["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    version = labels.get(names.LABEL_VERSION, names.VERSION_LATEST_LABEL)
    function = annotations.get(names.ANNOTATION_FUNCTION_NAME) or labels.get(names.LABEL_INSTANCE, "")
    return (metadata["namespace"], function, names.version_of_label(version))


def _print(rows: list[Row], form: str | None, *, everywhere: bool, watch: bool) -> None:
    if form:
        click.echo(printing.document([_facts(row) for row in rows], form), nl=False)
        return
    header = ["FUNCTION", "RUNNING", "IDLE", "STARTING", "INV/S", "ERR%", "THROTTLED/S", "COLD/S", "P50", "P99"]
    cells = [_cells(row) for row in rows]
    if everywhere:
        header = ["NAMESPACE", *header]
        cells = [[row.namespace, *line] for row, line in zip(rows, cells, strict=True)]
    text = printing.table(header, cells)
    if watch and sys.stdout.isatty():
        text = printing.clear_screen() + text
    elif watch:
        text += "\n"
    if not rows and not watch:
        click.echo("no function has been invoked or has an environment", err=True)
        return
    click.echo(text, nl=False)


def _cells(row: Row) -> list[str]:
    activity = row.activity
    share = activity.error_share
    return [
        row.label,
        str(row.running),
        "-" if row.idle is None else str(row.idle),
        "-" if row.starting is None else str(row.starting),
        f"{activity.invocations:.1f}",
        "-" if share is None else f"{100 * share:.1f}",
        f"{activity.throttles:.1f}",
        f"{activity.cold_starts:.1f}",
        _duration(activity.quantile(0.5)),
        _duration(activity.quantile(0.99)),
    ]


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds == math.inf:
        return ">900s"
    return f"{seconds * 1000:.1f}ms" if seconds < 1 else f"{seconds:.1f}s"


def _facts(row: Row) -> dict[str, Any]:
    activity = row.activity
    p50, p99 = activity.quantile(0.5), activity.quantile(0.99)
    return {
        "namespace": row.namespace,
        "function": row.function,
        "version": row.version,
        "running": row.running,
        "idle": row.idle,
        "starting": row.starting,
        "invocationsPerSecond": round(activity.invocations, 3),
        "errorShare": None if activity.error_share is None else round(activity.error_share, 4),
        "throttlesPerSecond": round(activity.throttles, 3),
        "coldStartsPerSecond": round(activity.cold_starts, 3),
        "p50Seconds": None if p50 in (None, math.inf) else round(p50 or 0, 6),
        "p99Seconds": None if p99 in (None, math.inf) else round(p99 or 0, 6),
    }

"""What commands share: kubectl's flags, durations, and the session that they describe.

Every flag is understood before the command as well as after it (`commands.Lambent`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from .completing import complete_contexts, complete_namespaces
from .outcomes import CommandFailed

if TYPE_CHECKING:
    from . import kubeconfigs
    from .clusters import Cluster  # HTTP and TLS: not for a command that asks no cluster

Command = Callable[..., Any]


class Duration(click.ParamType[float]):
    """`90`, `1.5s`, `10m`, `2h`, `1d`, `1h30m`: seconds."""

    name = "duration"
    _PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
    _UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}  # noqa: RUF012 - never changed

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        if isinstance(value, int | float):
            return float(value)
        text = str(value)
        if re.fullmatch(r"\d+(\.\d+)?", text):
            return float(text)
        parts = self._PART.findall(text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            self.fail(f"{text!r} is no duration: write 30s, 5m, 1h30m", param, ctx)
        return float(sum(float(number) * self._UNITS[unit] for number, unit in parts))


class Session:
    """The cluster and namespace of one command; nothing is read or dialled before it is asked for."""

    def __init__(
        self, kubeconfig: str | None, context: str | None, namespace: str | None, request_timeout: float
    ) -> None:
        self._kubeconfig, self._context, self._timeout = kubeconfig, context, request_timeout
        self.chosen_namespace = namespace
        """As given by `--namespace`."""

    @functools.cached_property
    def cluster(self) -> Cluster:
        """The API server.

        Raises:
            CommandFailed: none is configured.
        """
        from .clusters import Cluster

        return Cluster(self._choice, self._timeout)

    @functools.cached_property
    def namespace(self) -> str:
        """The current namespace."""
        return self.chosen_namespace or self._choice.namespace or "default"

    @functools.cached_property
    def _choice(self) -> kubeconfigs.Context:
        from . import kubeconfigs

        return kubeconfigs.load(self._kubeconfig, self._context)

    def cluster_if_any(self) -> Cluster | None:
        """The API server, where one is configured: who knows the gateway's address needs none."""
        if self._kubeconfig or self._context:
            return self.cluster
        try:
            return self.cluster
        except CommandFailed:
            return None

    def namespace_if_any(self) -> str | None:
        """The current namespace, where anybody has said one."""
        return self.chosen_namespace or (self.namespace if self.cluster_if_any() else None)


def in_cluster(command: Command) -> Command:
    """Give the command a `session`, described by kubectl's flags."""

    @functools.wraps(command)
    def run(
        *, kubeconfig: str | None, context: str | None, namespace: str | None, request_timeout: float, **rest: Any
    ) -> Any:
        return command(Session(kubeconfig, context, namespace, request_timeout), **rest)

    options = (
        click.option("-n", "--namespace", metavar="NAMESPACE", shell_complete=complete_namespaces,
                     help="Namespace; the context's own when not given."),
        click.option("--context", metavar="NAME", shell_complete=complete_contexts, help="Context of the kubeconfig."),
        click.option("--kubeconfig", metavar="FILE", type=click.Path(dir_okay=False), help="The kubeconfig."),
        click.option("--request-timeout", metavar="DURATION", type=Duration(), default="30s", show_default=True,
                     help="How long one request to the API server may take."),
    )  # fmt: skip
    return _apply(options, run)


def of_release(command: Command) -> Command:
    """Give the command a `wanted` release."""

    @functools.wraps(command)
    def run(*arguments: Any, system_namespace: str | None, release: str | None, **rest: Any) -> Any:
        from . import releases

        return command(*arguments, wanted=releases.Wanted(system_namespace, release), **rest)

    options = (
        click.option("--system-namespace", metavar="NAMESPACE", envvar="LAMBENT_SYSTEM_NAMESPACE",
                     shell_complete=complete_namespaces,
                     help="Namespace of Lambent itself; looked for when not given. [LAMBENT_SYSTEM_NAMESPACE]"),
        click.option("--release", metavar="NAME", envvar="LAMBENT_RELEASE",
                     help="Helm release of Lambent, where there are several. [LAMBENT_RELEASE]"),
    )  # fmt: skip
    return _apply(options, run)


def everywhere(command: Command) -> Command:
    """`-A`."""
    return click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="All namespaces.")(command)


def output(*forms: str) -> Callable[[Command], Command]:
    """`-o`, one of these forms."""
    choice = click.Choice(forms)
    return click.option(
        "-o", "--output", "form", type=choice, metavar="FORM", help=f"{', '.join(forms[:-1])} or {forms[-1]}."
    )


def watching(command: Command) -> Command:
    """`-w`."""
    return click.option("-w", "--watch", is_flag=True, help="Go on: print every change.")(command)


def selecting(command: Command) -> Command:
    """`-l`."""
    return click.option("-l", "--selector", metavar="LABELS", default="", help="Only with these labels (a=b,c!=d).")(
        command
    )


def _apply(options: tuple[Callable[[Command], Command], ...], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command

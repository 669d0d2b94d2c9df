"""What the shell may complete: functions, namespaces, contexts. Quick, and silent when it cannot."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import click

PATIENCE_SECONDS = 2.0


def complete_functions(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Functions of the chosen namespace; after `namespace/`, of that one."""
    found: list[str] = []
    with _silently():
        from .functions import function_name

        space, slash, start = incomplete.rpartition("/")
        cluster, current = _cluster(context)
        from .clusters import functions_path

        taken = context.params.get(parameter.name or "") or ()
        prefix = f"{space}/" if slash else ""
        listed = cluster.objects(functions_path(space or current))
        names = (function_name(each) for each in listed)
        found = [prefix + name for name in names if name.startswith(start) and name not in taken]
    return sorted(found)


def complete_namespaces(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """Namespaces of the cluster."""
    found: list[str] = []
    with _silently():
        from .clusters import path_of

        cluster, _ = _cluster(context)
        found = [str(each["metadata"]["name"]) for each in cluster.objects(path_of("namespaces", None))]
    return sorted(name for name in found if name.startswith(incomplete))


def complete_contexts(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """Contexts of the kubeconfig."""
    found: list[str] = []
    with _silently():
        from .kubeconfigs import context_names

        found = context_names(context.params.get("kubeconfig"))
    return sorted(name for name in found if name.startswith(incomplete))


def _cluster(context: click.Context) -> tuple[Any, str]:
    """A cluster that is not waited for, and the namespace in force."""
    from . import kubeconfigs
    from .clusters import Cluster

    given = context.params
    chosen = kubeconfigs.load(given.get("kubeconfig"), given.get("context"))
    return Cluster(chosen, PATIENCE_SECONDS), given.get("namespace") or chosen.namespace or "default"


@contextlib.contextmanager
def _silently() -> Iterator[None]:
    """A shell that waits for words must not get a message, whatever happens."""
    with contextlib.suppress(Exception):
        yield

"""What the shell may complete: functions, namespaces, contexts. Quick, and silent when it cannot."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import click

from lambent.model import names

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


Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def complete_function_words(*places: str) -> Complete:
    """A function, then what is of it: its `aliases`, its `versions`, in the order of `places`."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        given = context.params.get(parameter.name or "") or ()
        if not given:
            return complete_functions(context, parameter, incomplete)
        found: list[str] = []
        with _silently():
            place = places[len(given) - (0 if ":" in given[0] else 1)]
            found = _of_function(context, given[0], place)
        return [each for each in found if each.startswith(incomplete)]

    return complete


def complete_qualifiers(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """Aliases and versions of the function that was named."""
    found: list[str] = []
    with _silently():
        name = _first(context, "name")
        found = [*_of_function(context, name, "aliases"), *_of_function(context, name, "versions")[:-1]]
    return [each for each in found if each.startswith(incomplete)]


def complete_weights(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """Versions of the function that was named, each with its sign of equality."""
    found: list[str] = []
    with _silently():
        numbers = _of_function(context, _first(context, "words"), "versions")
        found = [f"{each}=" for each in numbers if each.isdecimal()]
    return [each for each in found if each.startswith(incomplete)]


def complete_strategies(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """CodeDeploy's."""
    from lambent.model.rollouts import STRATEGIES

    return [name for name in (*STRATEGIES, "none") if name.startswith(incomplete)]


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


def _first(context: click.Context, parameter: str) -> str:
    """The first word that was written; click has bound it to no parameter when an option's value is still missing."""
    given = context.params.get(parameter) or context.args
    return str(given if isinstance(given, str) else given[0])


def _of_function(context: click.Context, name: str, what: str) -> list[str]:
    """Names of its aliases; or its versions, the newest first, then the words that mean one."""
    from . import aliases, functions, published
    from .targets import Target

    cluster, current = _cluster(context)
    function = functions.find(cluster, functions.parse(name, current, chosen=False), current)
    target = Target(function, ())
    if what == "aliases":
        return sorted({aliases.alias_name(each) for each in aliases.listed(cluster, target)})
    numbers = [published.number(each) for each in published.holders(published.listed(cluster, target))]
    return [*numbers[::-1], names.LATEST, published.LATEST_PUBLISHED]


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

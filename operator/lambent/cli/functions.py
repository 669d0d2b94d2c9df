"""What a person wrote to name a function: a name, `namespace/name`, or an ARN; and the object that is meant."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from lambent.model import names
from lambent.model.arns import FunctionReference, account_id, parse_function_reference
from lambent.model.errors import Refused

from .clusters import Cluster, functions_path, path_of
from .outcomes import CommandFailed, ExitCode


@dataclass(frozen=True, slots=True)
class Named:
    """A function as it was named."""

    text: str
    """Without the namespace before the slash: what the Lambda API takes."""
    reference: FunctionReference
    namespace: str | None
    """None: the account in the ARN says it."""


def parse(text: str, namespace: str | None, *, chosen: bool) -> Named:
    """What `text` names when `namespace` is the current one; `chosen`: by `--namespace`, not by the kubeconfig.

    Raises:
        CommandFailed: it is no name of a function, or it contradicts `--namespace`.
    """
    space, slash, rest = text.partition("/")
    name = rest if slash else text
    reference = parse_function_reference(name)
    if reference is None or (slash and not space) or (slash and reference.account):
        message = f"{text!r} is no function: give a name, namespace/name or an ARN"
        raise CommandFailed(ExitCode.USAGE, message)
    if slash and chosen and space != namespace:
        raise CommandFailed(ExitCode.USAGE, f"{text!r} is not in the namespace {namespace!r} of --namespace")
    if reference.account:
        return Named(name, reference, None)
    return Named(name, reference, space if slash else namespace)


def find(cluster: Cluster, named: Named, current: str) -> dict[str, Any]:
    """The Function object: by its own name, else by its `spec.functionName`.

    Raises:
        CommandFailed: it does not exist.
    """
    namespace = named.namespace or _namespace_of(cluster, named.reference.account or "") or current
    name = named.reference.name
    try:
        found = cluster.get(functions_path(namespace, name))
    except Refused as error:
        if error.status != 404:
            raise
    else:
        if function_name(found) == name:
            return found
    there = cluster.objects(functions_path(namespace))
    for each in there:
        if function_name(each) == name:
            return each
    near = difflib.get_close_matches(name, [function_name(each) for each in there], 3)
    hint = f"did you mean {' or '.join(near)}?" if near else "lambent get --all-namespaces lists all functions"
    raise CommandFailed(ExitCode.NOT_FOUND, f"there is no function {name!r} in the namespace {namespace!r}", hint)


def function_name(function: dict[str, Any]) -> str:
    """Lambda's name of a Function object."""
    return str((function.get("spec") or {}).get("functionName") or function["metadata"]["name"])


def _namespace_of(cluster: Cluster, account: str) -> str | None:
    try:
        spaces = cluster.objects(path_of("namespaces", None))
    except Refused:  # who may not list them is in the current one, most likely
        return None
    for space in spaces:
        metadata = space["metadata"]
        if account_id(metadata["uid"], (metadata.get("annotations") or {}).get(names.ANNOTATION_ACCOUNT_ID)) == account:
            return str(metadata["name"])
    raise CommandFailed(ExitCode.NOT_FOUND, f"no namespace of this cluster is the account {account}")

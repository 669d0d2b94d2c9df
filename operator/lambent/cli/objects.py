"""What commands read of objects as they come from the API server: conditions, owners; and `-o json|yaml` of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambent.model import names
from lambent.model.errors import Refused
from lambent.model.owners import owner_function

from . import printing
from .clusters import Cluster

Body = dict[str, Any]


def condition(body: Body, kind: str) -> Mapping[str, Any]:
    """The condition of this type; empty when it is not there."""
    found: list[Mapping[str, Any]] = (body.get("status") or {}).get("conditions") or []
    return next((each for each in found if each.get("type") == kind), {})


def is_true(body: Body, kind: str) -> bool:
    """Whether the condition of this type is there and True."""
    return condition(body, kind).get("status") == "True"


def explained(found: Mapping[str, Any]) -> str:
    """`Reason: message` of a condition or of a rollout."""
    return ": ".join(str(part) for part in (found.get("reason"), found.get("message")) if part)


def of_function(cluster: Cluster, path: str, function_name: str, function_uid: str) -> list[Body]:
    """Versions or Aliases of a function, oldest first; not those of a deleted one that had the same name."""
    try:
        found = cluster.objects(path, fields=f"spec.functionName={function_name}")
    except Refused as error:
        if error.status != 400:  # Kubernetes 1.30 selects by no field of ours
            raise
        found = [each for each in cluster.objects(path) if each["spec"].get("functionName") == function_name]
    mine = [each for each in found if owner_function(each["metadata"]) in ("", function_uid)]
    return sorted(mine, key=lambda each: (str(each["metadata"].get("creationTimestamp", "")), each["metadata"]["name"]))


def document(items: list[Body], form: str, kind: str, *, single: bool) -> str:
    """One object as it is, several as a List; without the fields' managers, as kubectl prints."""
    for item in items:
        item.setdefault("apiVersion", names.API_VERSION)  # items of a list come without
        item.setdefault("kind", kind)
        item["metadata"].pop("managedFields", None)
    return printing.document(items[0] if single else {"apiVersion": "v1", "kind": "List", "items": items}, form)

"""What every object of ours has beside spec and status, as it is read from the API server."""

from __future__ import annotations

from typing import Any, ClassVar

from .fields import Fields


class KubernetesObject(Fields):
    """Identity of an object; each kind says its name."""

    kind: ClassVar[str]
    name: str
    namespace: str
    uid: str
    generation: int
    created: str
    """RFC 3339."""
    deleting: bool


def identity(body: dict[str, Any]) -> dict[str, Any]:
    """The fields of a KubernetesObject, by name. Raises KeyError for what is no object."""
    metadata = body["metadata"]
    return {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "uid": metadata["uid"],
        "generation": metadata.get("generation", 0),
        "created": metadata.get("creationTimestamp", ""),
        "deleting": bool(metadata.get("deletionTimestamp")),
    }

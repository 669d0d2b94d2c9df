"""Objects of our kinds at a real API server, for tests of what it takes and what it refuses."""

from __future__ import annotations

import copy
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

CRDS = Path(__file__).resolve().parents[2] / "crds"
GROUP, VERSION = "lambent.dev", "v1alpha1"


@contextmanager
def definitions(api: Any) -> Iterator[None]:
    """The definitions are there: a release's, else ours for the time being (a release could not adopt those we left)."""
    extensions = client.ApiextensionsV1Api(api)
    there = _stored(extensions)
    ours = [yaml.safe_load(path.read_text()) for path in sorted(CRDS.glob("*.yaml"))]
    made = [one for one in ours if one["metadata"]["name"] not in there]
    for one in made:
        extensions.create_custom_resource_definition(one)
    mine = {one["metadata"]["name"] for one in made}
    _until(lambda: all(_established(extensions, name) for name in mine), "definitions were not established")
    yield
    for name in mine:
        extensions.delete_custom_resource_definition(name)
    # the next module would find them, and they would be gone a moment later
    _until(lambda: mine.isdisjoint(_stored(extensions)), "definitions were not removed")


def _until(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + 300  # an API server that has just begun may try again a minute later
    while not holds():
        assert time.monotonic() < deadline, f"{otherwise} within five minutes"
        time.sleep(0.2)


def _stored(extensions: Any) -> set[str]:
    return {stored.metadata.name for stored in extensions.list_custom_resource_definition().items}


def _established(extensions: Any, name: str) -> bool:
    conditions = extensions.read_custom_resource_definition(name).status.conditions or []
    return any(condition.type == "Established" and condition.status == "True" for condition in conditions)


@contextmanager
def namespace(api: Any) -> Iterator[str]:
    """A namespace that no release watches."""
    core, name = client.CoreV1Api(api), f"lambent-test-{secrets.token_hex(4)}"
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
    yield name
    core.delete_namespace(name)


@dataclass(frozen=True, slots=True)
class Objects:
    """Objects of one kind in one namespace."""

    api: Any
    namespace: str
    kind: str
    plural: str

    def dry_run(self, spec: dict[str, Any], name: str = "one") -> dict[str, Any]:
        """What the API server would store."""
        return self._custom.create_namespaced_custom_object(
            *self._place, self._body(spec, name), dry_run="All", field_validation="Strict"
        )

    def create(self, spec: dict[str, Any], name: str | None = None) -> dict[str, Any]:
        """The object that was made, under a name that no other has."""
        return self._custom.create_namespaced_custom_object(
            *self._place, self._body(spec, name or f"one-{secrets.token_hex(4)}.made")
        )

    def replace(self, body: dict[str, Any], **spec: Any) -> dict[str, Any]:
        """The object with fields of its specification changed; None removes one."""
        changed = copy.deepcopy(body)
        changed["spec"] = {key: value for key, value in {**body["spec"], **spec}.items() if value is not None}
        name = body["metadata"]["name"]
        return self._custom.replace_namespaced_custom_object(*self._place, name, changed)

    def write_status(self, body: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
        """The object with another status."""
        name = body["metadata"]["name"]
        return self._custom.replace_namespaced_custom_object_status(*self._place, name, {**body, "status": status})

    def read(self, body: dict[str, Any]) -> dict[str, Any]:
        """The object as it is now."""
        return self._custom.get_namespaced_custom_object(*self._place, body["metadata"]["name"])

    def selected(self, selector: str) -> set[str]:
        """Names of the objects with a field."""
        found = self._custom.list_namespaced_custom_object(*self._place, field_selector=selector)
        return {one["metadata"]["name"] for one in found["items"]}

    def refusal(self, spec: dict[str, Any], name: str = "one") -> str:
        """The words in which the API server refuses an object."""
        return words(lambda: self.dry_run(spec, name))

    @property
    def _custom(self) -> Any:
        return client.CustomObjectsApi(self.api)

    @property
    def _place(self) -> tuple[str, str, str, str]:
        return GROUP, VERSION, self.namespace, self.plural

    def _body(self, spec: dict[str, Any], name: str) -> dict[str, Any]:
        return {"apiVersion": f"{GROUP}/{VERSION}", "kind": self.kind, "metadata": {"name": name}, "spec": spec}


def words(call: Callable[[], Any]) -> str:
    """The words in which the API server refuses a call."""
    with pytest.raises(client.ApiException) as refused:
        call()
    assert refused.value.status in (400, 422)
    return str(json.loads(refused.value.body)["message"])

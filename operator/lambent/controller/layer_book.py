"""What was observed of Layers and LayerVersions, and which functions use which version.

Keys are uids of Layers; whoever uses a version is nudged when it appears or goes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import ValidationError

from lambent.controller.freshness import Freshness
from lambent.controller.observed import Malformed, explain, overtaken, put_each, read
from lambent.core import code_texts
from lambent.core.collecting import hex_digest
from lambent.core.layer_use import Place
from lambent.model.layer_versions import LayerVersionObject, LayerVersionSpec
from lambent.model.layers import LayerObject, LayerStatus

log = logging.getLogger(__name__)

_Name = tuple[str, str]
"""Namespace and layer name."""


MalformedLayer = Malformed[LayerStatus]


class LayerBook:
    """Layers, their versions, and their users."""

    def __init__(self, nudge: Callable[[str], None]) -> None:
        self._nudge = nudge
        self._freshness = Freshness()
        self._layers: dict[str, LayerObject | MalformedLayer] = {}
        self._versions: dict[str, LayerVersionObject] = {}
        self._named: dict[_Name, set[str]] = {}
        self._numbered: dict[_Name, set[str]] = {}
        """Uids of versions by the layer's name."""
        self._used: dict[str, tuple[str, frozenset[Place]]] = {}
        self._users: dict[tuple[str, Place], set[str]] = {}

    # --- reading ------------------------------------------------------------------------------------------------

    def layer(self, uid: str) -> LayerObject | MalformedLayer | None:
        """A Layer, or what claims to be one."""
        return self._layers.get(uid)

    def uids(self) -> list[str]:
        """Every Layer that exists."""
        return list(self._layers)

    def has_known(self, uid: str) -> bool:
        """Whether this is, or was, a Layer."""
        return uid in self._layers or self._freshness.is_gone(uid)

    def older(self, layer: LayerObject) -> str | None:
        """Name of the oldest other object with this layer name that is older than this one."""
        rank = (layer.created, layer.name)
        rivals = [
            (rival.created, rival.name)
            for uid in self._named.get((layer.namespace, layer.layer_name), ())
            if isinstance(rival := self._layers.get(uid), LayerObject) and not rival.deleting
        ]
        oldest = min(rivals, default=None)
        return oldest[1] if oldest is not None and oldest < rank else None

    def versions(self, namespace: str, layer_name: str) -> tuple[LayerVersionObject, ...]:
        """Versions of a layer's name, the oldest object first."""
        found = (self._versions[uid] for uid in self._numbered.get((namespace, layer_name), ()))
        return tuple(sorted(found, key=lambda one: (one.created, one.name)))

    def digests(self) -> frozenset[str]:
        """Blobs that versions refer to, in hex."""
        return frozenset(
            digest for one in self._versions.values() if (digest := hex_digest(one.spec.code_sha256)) is not None
        )

    def use(self, uid: str, namespace: str, places: frozenset[Place]) -> dict[Place, LayerVersionSpec]:
        """What there is of the versions that a function names; from now on it is nudged when that changes."""
        if self._used.get(uid, (namespace, frozenset())) != (namespace, places):
            self.forget_user(uid)
            if places:
                self._used[uid] = (namespace, places)
            for place in places:
                self._users.setdefault((namespace, place), set()).add(uid)
        found: dict[Place, LayerVersionSpec] = {}
        for name, number in places:
            same = [one.spec for one in self.versions(namespace, name) if one.spec.version == number]
            if same:
                found[name, number] = same[0]
        return found

    def forget_user(self, uid: str) -> None:
        """The function is gone, or names others."""
        namespace, places = self._used.pop(uid, ("", frozenset()))
        for place in places:
            users = self._users[namespace, place]
            users.discard(uid)
            if not users:
                del self._users[namespace, place]

    # --- Layers -------------------------------------------------------------------------------------------------

    def put_layer(self, body: dict[str, Any], *, quiet: bool = False) -> None:
        """An object as the API server shows it; `quiet` when it is the answer to our own write."""
        uid = body["metadata"]["uid"]
        if not self._freshness.is_news(uid, body):
            return
        after = _parse(body)
        before = self._layers.get(uid)
        if after == before:
            return
        self._layers[uid] = after
        rivals = self._rename(uid, before, after)
        if not quiet or overtaken(before, after):
            for rival in rivals | {uid}:
                self._nudge(rival)

    def drop_layer(self, uid: str) -> None:
        """A Layer is gone; its versions go with events of their own."""
        self._freshness.bury(uid)
        for rival in self._rename(uid, self._layers.pop(uid, None), None) | {uid}:
            self._nudge(rival)

    def nudge_all(self, namespace: str) -> None:
        """The account of this namespace is another one."""
        for uid, layer in self._layers.items():
            if layer.namespace == namespace:
                self._nudge(uid)

    def _rename(
        self, uid: str, before: LayerObject | MalformedLayer | None, after: LayerObject | MalformedLayer | None
    ) -> set[str]:
        """Keep the index by layer name; the uids for which older and younger may have changed."""
        old, new = _place(before), _place(after)
        rivals: set[str] = set()
        if old is not None and old != new:
            rivals |= _discard(self._named, old, uid)
        if new is not None and (old != new or _deleting(before) != _deleting(after)):
            self._named.setdefault(new, set()).add(uid)
            rivals |= self._named[new]
        return rivals

    # --- LayerVersions ------------------------------------------------------------------------------------------

    def put_version(self, body: dict[str, Any]) -> None:
        """A version as the API server shows it, in an event, a list or the answer to us."""
        uid = body["metadata"]["uid"]
        if not self._freshness.is_news(uid, body):
            return
        try:
            version = LayerVersionObject.from_kubernetes(body)
        except ValidationError as error:
            log.warning("LayerVersion %s is not used: %s", body["metadata"]["name"], explain(error, "LayerVersion"))
            return
        if self._versions.get(uid) == version:
            return
        self._versions[uid] = version
        self._numbered.setdefault((version.namespace, version.spec.layer_name), set()).add(uid)
        self._tell(version)

    def drop_version(self, uid: str) -> None:
        """A version is gone."""
        self._freshness.bury(uid)
        version = self._versions.pop(uid, None)
        if version is not None:
            _discard(self._numbered, (version.namespace, version.spec.layer_name), uid)
            self._tell(version)

    def _tell(self, version: LayerVersionObject) -> None:
        for uid in self._users.get((version.namespace, (version.spec.layer_name, version.spec.version)), ()):
            self._nudge(uid)

    # --- lists --------------------------------------------------------------------------------------------------

    def put_layers(self, bodies: Iterable[dict[str, Any]]) -> set[str]:
        """A page of a list; returns the uids."""
        return put_each(self.put_layer, bodies)

    def keep_layers(self, listed: set[str], version: int) -> None:
        """These are all that a list of this resource version holds."""
        for uid in self._freshness.lacking(self._layers, listed, version):
            self.drop_layer(uid)

    def put_versions(self, bodies: Iterable[dict[str, Any]]) -> set[str]:
        """The same for versions."""
        return put_each(self.put_version, bodies)

    def keep_versions(self, listed: set[str], version: int) -> None:
        """The same for versions."""
        for uid in self._freshness.lacking(self._versions, listed, version):
            self.drop_version(uid)


def _discard(index: dict[_Name, set[str]], name: _Name, uid: str) -> set[str]:
    """Take a uid out of an index; those that remain under the name."""
    left = index.get(name, set())
    left.discard(uid)
    if not left:
        index.pop(name, None)
    return set(left)


def _parse(body: dict[str, Any]) -> LayerObject | MalformedLayer:
    return read("Layer", lambda found: _slim(LayerObject.from_kubernetes(found)), LayerStatus, body)


def _slim(layer: LayerObject) -> LayerObject:
    """Without the text of content that has been obtained."""
    if layer.status.observed_generation != layer.generation:
        return layer
    return layer.model_copy(update={"spec": code_texts.leave_out(layer.spec)})


def _place(layer: LayerObject | MalformedLayer | None) -> _Name | None:
    return (layer.namespace, layer.layer_name) if isinstance(layer, LayerObject) else None


def _deleting(layer: LayerObject | MalformedLayer | None) -> bool:
    return isinstance(layer, LayerObject) and layer.deleting

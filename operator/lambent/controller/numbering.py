"""Numbers that are given once: the next version of a layer (or of whatever is numbered), per namespace.

Lambda never gives a number twice, not even after the thing was deleted and made again under its name. So the highest
number ever given outlives the object: in the namespace's ConfigMap `lambent-numbers`, under `<kind>.<name>`. It is
raised before the number is used; what fails in between leaves a gap, never a second use.
"""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from lambent.adapters.kube.client import MERGE_PATCH, KubeClient
from lambent.adapters.kube.resources import CONFIG_MAPS
from lambent.model import names
from lambent.model.errors import Refused, Unavailable

TRIES = 8
"""Of a write that somebody else's overtook."""

_turns: WeakKeyDictionary[KubeClient, dict[str, asyncio.Lock]] = WeakKeyDictionary()
"""By namespace: who asks in one process takes turns. Else they overtake each other, and most writes are refused."""


async def next_number(client: KubeClient, namespace: str, key: str, floor: int = 0) -> int:
    """The next number of `key` (such as `layer.<name>`): one more than the highest given, and above `floor`.

    Raises:
        Refused: the API server, or what stands there; the message says which.
        Unavailable: the API server does not answer, or others write without end.
    """
    async with _turns.setdefault(client, {}).setdefault(namespace, asyncio.Lock()):
        return await _next_number(client, namespace, key, floor)


async def _next_number(client: KubeClient, namespace: str, key: str, floor: int) -> int:
    path = CONFIG_MAPS.item(namespace, names.NUMBERS)
    for _ in range(TRIES):
        try:
            found = await client.request("GET", path)
        except Refused as error:
            if error.status != 404:
                raise
            found = None
        number = max(floor, _number(found, key)) + 1
        try:
            await _write(client, namespace, found, key, number)
        except Refused as error:
            if error.status in (404, 409):  # it appeared, went or changed meanwhile
                continue
            raise
        return number
    raise Unavailable(f"the ConfigMap {namespace}/{names.NUMBERS} is always written by somebody else")


async def _write(client: KubeClient, namespace: str, found: dict[str, object] | None, key: str, number: int) -> None:
    query = {"fieldManager": names.FIELD_MANAGER_CONTROLLER}
    data = {key: str(number)}
    if found is None:
        metadata = {"name": names.NUMBERS, "labels": {names.LABEL_MANAGED_BY: names.MANAGED_BY}}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        await client.request("POST", CONFIG_MAPS.collection(namespace), body=body, query=query)
        return
    seen = found["metadata"]
    assert isinstance(seen, dict)
    # with the version that was read, nobody else's number is written over
    patch = {"metadata": {"resourceVersion": seen["resourceVersion"]}, "data": data}
    path = CONFIG_MAPS.item(namespace, names.NUMBERS)
    await client.request("PATCH", path, body=patch, query=query, content_type=MERGE_PATCH)


def _number(found: dict[str, object] | None, key: str) -> int:
    data = (found or {}).get("data") or {}
    assert isinstance(data, dict)
    text = data.get(key, "0")
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Refused(
            "Invalid",
            f"ConfigMap {names.NUMBERS}: {key} is {text[:40]!r} and not the highest number that was ever given",
            422,
        )
    return int(text)

"""The installation's keys: made once, kept in a Secret, never overwritten."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from typing import Any

from lambent.adapters.kube.client import MERGE_PATCH, KubeClient
from lambent.adapters.kube.resources import SECRETS
from lambent.model import names
from lambent.model.errors import Refused

AGENT_KEY, URL_KEY = "agent-key", "url-key"


@dataclass(frozen=True, slots=True)
class Keys:
    """The two keys, as every process reads them."""

    agent: bytes
    """What agents' tokens are made with."""
    url: bytes
    """What code store URLs are signed with."""


async def ensure_keys(client: KubeClient, namespace: str, name: str) -> Keys:
    """Read the keys; make the Secret when it is missing, and what is missing in it.

    Raises:
        Refused, Unavailable: as the API server answers.
    """
    path = SECRETS.item(namespace, name)
    try:
        secret = await client.request("GET", path)
    except Refused as error:
        if error.status != 404:
            raise
        secret = await _create(client, namespace, name)
    missing = {key: _fresh() for key in (AGENT_KEY, URL_KEY) if key not in (secret.get("data") or {})}
    if missing:
        # with the version read: whoever was faster wins, and we read what they made
        body = {"metadata": {"resourceVersion": secret["metadata"]["resourceVersion"]}, "data": missing}
        try:
            secret = await client.request("PATCH", path, body=body, content_type=MERGE_PATCH)
        except Refused as error:
            if error.status != 409:
                raise
            secret = await client.request("GET", path)
    data = secret["data"]
    # a Secret made with an editor ends with a newline that nobody means
    return Keys(base64.b64decode(data[AGENT_KEY]).strip(), base64.b64decode(data[URL_KEY]).strip())


async def _create(client: KubeClient, namespace: str, name: str) -> dict[str, Any]:
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"name": name, "namespace": namespace, "labels": {names.LABEL_MANAGED_BY: names.MANAGED_BY}},
        "data": {AGENT_KEY: _fresh(), URL_KEY: _fresh()},
    }
    query = {"fieldManager": names.FIELD_MANAGER_CONTROLLER}
    try:
        return await client.request("POST", SECRETS.collection(namespace), body=body, query=query)
    except Refused as error:
        if error.status != 409:  # another replica was faster
            raise
        return await client.request("GET", SECRETS.item(namespace, name))


def _fresh() -> str:
    """256 bits, as hex so that it survives being read as text."""
    return base64.b64encode(secrets.token_hex(32).encode()).decode()

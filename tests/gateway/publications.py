"""Versions and aliases of a Function, as the controller leaves them."""

from __future__ import annotations

import hashlib

from lambent.model import names

CREATED = "2026-01-01T00:00:00Z"


def _metadata(of: dict, name: str, **changes) -> dict:
    function = of["metadata"]
    owner = {"apiVersion": names.API_VERSION, "kind": "Function", "name": function["name"], "uid": function["uid"]}
    return {
        "name": name,
        "namespace": function["namespace"],
        "uid": f"uid-{function['namespace']}-{name}",
        "generation": 1,
        "creationTimestamp": CREATED,
        "ownerReferences": [owner],
    } | changes


def function_name(of: dict) -> str:
    return of["spec"].get("functionName") or of["metadata"]["name"]


def version(of: dict, number: int | str, name: str | None = None, **changes) -> dict:
    """Number so and so of a Function, published. `changes`: of the snapshot, of `metadata`, of `status`."""
    metadata, status = changes.pop("metadata", {}), changes.pop("status", {})
    published = of["status"]
    snapshot = {key: value for key, value in of["spec"].items() if key not in ("code", "functionName", "tags")}
    snapshot |= {"codeSha256": published["codeSha256"], "codeSize": published["codeSize"]}
    snapshot |= {"revision": f"snapshot-{number}"} | changes
    return {
        "kind": "Version",
        "metadata": _metadata(of, name or f"{of['metadata']['name']}.{number}", **metadata),
        "spec": {"functionName": function_name(of)},
        "status": {
            "observedGeneration": 1,
            "conditions": [],
            "functionUid": of["metadata"]["uid"],
            "version": str(number),
            "snapshot": snapshot,
            "podRevision": f"pod-revision-{number}",
        }
        | status,
    }


def alias(of: dict, name: str, *versions, weight: float | None = None, **changes) -> dict:
    """An alias that leads to one version, or to two: the second gets `weight`."""
    metadata, status = changes.pop("metadata", {}), changes.pop("status", {})
    routing = {"functionVersion": str(versions[0])} if versions else None
    if routing and len(versions) > 1:
        routing["additionalVersionWeights"] = {str(versions[1]): weight}
    return {
        "kind": "Alias",
        "metadata": _metadata(of, changes.pop("object_name", f"{of['metadata']['name']}.{name.lower()}"), **metadata),
        "spec": {"functionName": function_name(of), "name": name, "functionVersion": "1"} | changes,
        "status": {"observedGeneration": 1, "conditions": [], "routing": routing} | status,
    }


def digest_of(execution_id: str) -> str:
    return hashlib.sha256(execution_id.encode()).hexdigest()


def rollout(*execution_ids: str, deployment: str = "d-ABCDEFGH1", **changes) -> dict:
    """A rollout from 1 to 2 whose hooks are asked."""
    events = ("BeforeAllowTraffic", "AfterAllowTraffic")
    hooks = [
        {
            "lifecycleEvent": event,
            "functionName": "check",
            "executionIdSha256": digest_of(execution_id),
            "state": changes.pop("state", "InProgress"),
            "startedAt": CREATED,
        }
        for event, execution_id in zip(events, execution_ids, strict=False)
    ]
    return {
        "deploymentId": deployment,
        "fromVersion": "1",
        "toVersion": "2",
        "generation": 1,
        "strategy": "AllAtOnce",
        "phase": "BeforeAllowTraffic",
        "startedAt": CREATED,
        "hooks": hooks,
    } | changes

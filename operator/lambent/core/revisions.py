"""When do two states of a function mean the same? Digests of what a publish and what an environment consist of.

A *revision* is the identity of a publish: everything that Lambda snapshots in a version and that an environment is
told or made of. Left out, by rule:

- `functionName`, identity rather than content;
- `description`: Lambda's rule is that a description alone publishes nothing;
- `tags`: they belong to the function, never to a version;
- `code`: its digest stands for it, so that the same archive given in another way is the same code;
- `placement`: where environments run is Kubernetes' matter and does not change what the function is.

A *pod revision* is the identity of environments: revision and version, and what shapes a pod but not the publish.
A change of it brings new environments without anything new to publish.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from lambent.model.functions import FunctionSpec

DIGITS = 16


def revision(spec: FunctionSpec, code_sha256_hex: str) -> str:
    """16 hex digits over configuration and code. Equal for equal publishes, in every process and release."""
    environment = spec.environment.variables if spec.environment else {}
    return _digest(
        {
            "architectures": spec.architectures,
            "codeSha256": code_sha256_hex,
            "environment": environment,
            "ephemeralStorage": spec.ephemeral_storage.size,
            "handler": spec.handler,
            "memorySize": spec.memory_size,
            "packageType": spec.package_type,
            "role": spec.role,
            "runtime": spec.runtime,
            "timeout": spec.timeout,
        }
    )


def pod_revision(revision: str, version: str, image: str, spec: FunctionSpec) -> str:
    """16 hex digits over revision, version label, runtime image and placement."""
    placement = spec.placement.model_dump(mode="json", by_alias=True, exclude_none=True) if spec.placement else {}
    shape = {name: value for name, value in placement.items() if value not in ({}, [])}
    return _digest({"image": image, "placement": shape, "revision": revision, "version": version})


def _digest(content: dict[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:DIGITS]

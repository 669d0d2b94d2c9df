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
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lambent.core import references
from lambent.core.references import Versions
from lambent.model.functions import FunctionConfiguration

DIGITS = 16


def revision(spec: FunctionConfiguration, code_sha256_hex: str, layers: Sequence[str] = ()) -> str:
    """16 hex digits over configuration, code and layers. Equal for equal publishes, in every process and release.

    Of layers the digests count, in their order: what they are called changes nothing in an environment.
    """
    environment = spec.environment.variables if spec.environment else {}
    given: dict[str, Any] = {}  # absent where absent, so that what came later changes no older digest
    if spec.environment and spec.environment.value_from:
        sources = sorted(spec.environment.value_from, key=lambda source: source.name)
        given["valueFrom"] = [source.model_dump(mode="json", by_alias=True, exclude_none=True) for source in sources]
    given |= _resources(spec)
    if spec.image_config:
        given["imageConfig"] = spec.image_config.model_dump(mode="json", by_alias=True, exclude_none=True)
    if layers:
        given["layers"] = list(layers)
    return _digest(
        {
            **given,
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


def _resources(spec: FunctionConfiguration) -> dict[str, Any]:
    """What is not as it is by default. A default said aloud is the same publish."""
    given: dict[str, Any] = {}
    if spec.logging_config and (told := spec.logging_config.told()):
        given["loggingConfig"] = told
    if spec.tracing_mode != "PassThrough":
        given["tracingConfig"] = {"mode": spec.tracing_mode}
    if spec.file_system_configs:
        given["fileSystemConfigs"] = [
            [system.claim_name, system.local_mount_path, system.read_only] for system in spec.file_system_configs
        ]
    if spec.ephemeral_storage.medium != "Disk":
        given["ephemeralStorageMedium"] = spec.ephemeral_storage.medium
    return given


@dataclass(frozen=True, slots=True)
class Shape:
    """What shapes a pod beyond the specification."""

    image: str
    agent_image: str = ""
    """With packageType Image: where the agent comes from."""
    versions: Versions = field(default_factory=dict)
    """Resource versions of what the function refers to: a changed Secret brings new environments."""


def pod_revision(revision: str, version: str, shape: Shape, spec: FunctionConfiguration) -> str:
    """16 hex digits over revision, version label, images, references and placement."""
    placement = spec.placement.model_dump(mode="json", by_alias=True, exclude_none=True) if spec.placement else {}
    given: dict[str, Any] = {}
    if shape.agent_image:
        given["agentImage"] = shape.agent_image
    if referred := references.identities(spec, shape.versions):
        given["references"] = referred
    placed = {name: value for name, value in placement.items() if value not in ({}, [])}
    return _digest({**given, "image": shape.image, "placement": placed, "revision": revision, "version": version})


def _digest(content: dict[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:DIGITS]

"""Which objects of its namespace does a function or a layer refer to, and what do their states mean for it?

Secrets, ConfigMaps and PersistentVolumeClaims. Only names and resource versions are looked at: what stands in them is
between the API server and the kubelet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lambent.core.readiness import Problem
from lambent.model.conditions import Reason
from lambent.model.errors import EFSMountFailure
from lambent.model.functions import FunctionConfiguration, FunctionSpec
from lambent.model.layers import LayerSpec

Specification = FunctionSpec | LayerSpec

Kind = Literal["ConfigMap", "PersistentVolumeClaim", "Secret"]


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """One object of the function's namespace."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


Versions = Mapping[Reference, str]
"""Resource versions of the objects that exist."""


def of_environment(spec: FunctionConfiguration) -> frozenset[Reference]:
    """What environments take variables from."""
    sources = spec.environment.value_from if spec.environment else []
    found = set[Reference]()
    for source in sources:
        if source.secret_key_ref is not None:
            found.add(Reference("Secret", source.secret_key_ref.name))
        if source.config_map_key_ref is not None:
            found.add(Reference("ConfigMap", source.config_map_key_ref.name))
    return frozenset(found)


def of_code(spec: Specification) -> Reference | None:
    """The object that holds the code itself."""
    held = spec.origin.code.config_map_ref
    return Reference("ConfigMap", held.name) if held is not None else None


def of_credentials(spec: Specification) -> frozenset[Reference]:
    """What the code is asked for with. A change brings no other code, but another try where there was none."""
    origin = spec.origin
    held = origin.code.s3_credentials_secret_ref
    return frozenset(Reference("Secret", name) for name in (*([held.name] if held else []), *origin.pull_secrets))


def of_file_systems(spec: FunctionConfiguration) -> frozenset[Reference]:
    """What environments mount. Which state a claim is in makes no environment another one."""
    return frozenset(Reference("PersistentVolumeClaim", system.claim_name) for system in spec.file_system_configs)


def of(spec: Specification) -> frozenset[Reference]:
    """Everything whose change is a reason to look at the function or layer."""
    code = of_code(spec)
    found = of_credentials(spec) | ({code} if code is not None else frozenset())
    return found | of_configuration(spec) if isinstance(spec, FunctionSpec) else found


def of_configuration(spec: FunctionConfiguration) -> frozenset[Reference]:
    """What environments of it need: of a version, whose code stands fast, everything."""
    return of_environment(spec) | of_file_systems(spec)


def find_missing(spec: FunctionConfiguration, versions: Versions) -> Problem | None:
    """What environments need and the namespace does not have; it is picked up when it appears."""
    missing = sorted(reference for reference in of_environment(spec) if reference not in versions)
    if missing:
        names = ", ".join(map(str, missing))
        return Problem(Reason.REFERENCE_NOT_FOUND, f"environment.valueFrom refers to what does not exist: {names}")
    for system in spec.file_system_configs:
        reference = Reference("PersistentVolumeClaim", system.claim_name)
        if reference not in versions:
            words = EFSMountFailure.words(system.arn, f"{reference} does not exist in this namespace.")
            return Problem(Reason.EFS_MOUNT_FAILURE, words)
    return None


def identities(spec: FunctionConfiguration, versions: Versions) -> dict[str, str]:
    """What of the referenced objects makes an environment another one."""
    return {str(reference): versions.get(reference, "") for reference in sorted(of_environment(spec))}

"""Conditions and their reasons, the one list of each. kstatus reads Ready, Reconciling and Stalled.

Reasons are documented constants: docs/spec/function.md and layer.md list them and a test holds them together.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ConditionType(StrEnum):
    """Types of conditions."""

    READY = "Ready"
    """The function can be invoked with its current specification; the newest version of a layer is as specified."""
    RECONCILING = "Reconciling"
    """Present and True only while the controller works on the current specification."""
    STALLED = "Stalled"
    """Present and True only when nothing will change without a person."""
    CODE_STORED = "CodeStored"
    """The code of the current specification is in the code store."""
    ENVIRONMENTS_HEALTHY = "EnvironmentsHealthy"
    """Execution environments can be created and started; False names what stands in the way."""
    ACTIVE = "Active"
    """At least one execution environment exists. False is healthy: scaled to zero."""
    CONTENT_STORED = "ContentStored"
    """Of a layer: the content of the current specification is in the code store."""


class Reason(StrEnum):
    """Reasons of conditions and of Events."""

    AVAILABLE = "Available"
    PROGRESSING = "Progressing"
    STORED = "Stored"
    INVALID_CODE = "InvalidCode"
    CODE_STORE_UNAVAILABLE = "CodeStoreUnavailable"
    RUNTIME_NOT_INSTALLED = "RuntimeNotInstalled"
    RUNTIME_DEPRECATED = "RuntimeDeprecated"
    CODE_UNAVAILABLE = "CodeUnavailable"
    INVALID_IMAGE = "InvalidImage"
    IMAGE_UNAVAILABLE = "ImageUnavailable"
    REFERENCE_NOT_FOUND = "ReferenceNotFound"
    EFS_MOUNT_FAILURE = "EFSMountFailure"
    """Lambda's own StateReasonCode."""
    DUPLICATE_FUNCTION_NAME = "DuplicateFunctionName"
    INVALID_SPEC = "InvalidSpec"
    HEALTHY = "Healthy"
    UNSCHEDULABLE = "Unschedulable"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    QUOTA_EXCEEDED = "QuotaExceeded"
    ROLE_NOT_FOUND = "RoleNotFound"
    POD_REFUSED = "PodRefused"
    ENVIRONMENT_FAILED = "EnvironmentFailed"
    OUT_OF_MEMORY = "OutOfMemory"
    EPHEMERAL_STORAGE_EXCEEDED = "EphemeralStorageExceeded"
    ENVIRONMENTS_RUNNING = "EnvironmentsRunning"
    SCALED_TO_ZERO = "ScaledToZero"
    LAYER_INCOMPATIBLE = "LayerIncompatible"
    DUPLICATE_LAYER_NAME = "DuplicateLayerName"
    LAYER_VERSION_PUBLISHED = "LayerVersionPublished"
    PUBLISHING_FAILED = "PublishingFailed"


LAYER_CONDITIONS = (
    ConditionType.READY,
    ConditionType.RECONCILING,
    ConditionType.STALLED,
    ConditionType.CONTENT_STORED,
)
"""Those that a Layer may have; a Function may have all but ContentStored."""
LAYER_ONLY_REASONS = (Reason.DUPLICATE_LAYER_NAME, Reason.LAYER_VERSION_PUBLISHED, Reason.PUBLISHING_FAILED)
"""Those that no Function has."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition before it is stamped with times: what is true, why, and in which generation."""

    type: ConditionType
    status: bool
    reason: Reason
    message: str = ""
    """For people, at most 1 kB, never a secret."""

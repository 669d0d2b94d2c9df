"""Conditions and their reasons, the one list of each. kstatus reads Ready, Reconciling and Stalled.

Reasons are documented constants: docs/spec/function.md lists them and a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ConditionType(StrEnum):
    """Types of conditions on a Function."""

    READY = "Ready"
    """The function can be invoked with its current specification."""
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


class Reason(StrEnum):
    """Reasons of conditions and of Events."""

    AVAILABLE = "Available"
    PROGRESSING = "Progressing"
    STORED = "Stored"
    INVALID_CODE = "InvalidCode"
    CODE_STORE_UNAVAILABLE = "CodeStoreUnavailable"
    RUNTIME_NOT_INSTALLED = "RuntimeNotInstalled"
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


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition before it is stamped with times: what is true, why, and in which generation."""

    type: ConditionType
    status: bool
    reason: Reason
    message: str = ""
    """For people, at most 1 kB, never a secret."""

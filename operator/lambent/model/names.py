"""Every label, annotation and fixed name that Lambent writes or reads on Kubernetes objects."""

from __future__ import annotations

GROUP = "lambent.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

LABEL_FUNCTION_UID = f"{GROUP}/function-uid"
LABEL_VERSION = f"{GROUP}/version"
LABEL_POD_REVISION = f"{GROUP}/pod-revision"
LABEL_RUNTIME = f"{GROUP}/runtime"
LABEL_LAYER_UID = f"{GROUP}/layer-uid"
LABEL_STATE = f"{GROUP}/state"
LABEL_PUBLISHED_BY = f"{GROUP}/published-by"
"""On Versions that nobody wrote by hand: who made them."""
PUBLISHED_BY_FUNCTION, PUBLISHED_BY_CLI = "function", "cli"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_NAME = "app.kubernetes.io/name"
LABEL_INSTANCE = "app.kubernetes.io/instance"
LABEL_COMPONENT = "app.kubernetes.io/component"

MANAGED_BY = "lambent"
COMPONENT_ENVIRONMENT = "environment"
"""Value of LABEL_COMPONENT on execution environments; watches select by it."""

VERSION_LATEST_LABEL = "latest"
"""`$LATEST` is no valid label value."""
LATEST = "$LATEST"

ANNOTATION_FUNCTION_NAME = f"{GROUP}/function-name"
ANNOTATION_NONCE = f"{GROUP}/nonce"
"""Input of the agent's token; the pod itself holds only the token's hash."""
ANNOTATION_CPU = f"{GROUP}/cpu-millicores"
"""CPU that the function's memory entitles the environment to; its limit is narrowed to it after init."""
ANNOTATION_ACCOUNT_ID = f"{GROUP}/account-id"
ANNOTATION_CONCURRENCY = f"{GROUP}/concurrency"
"""On a Namespace: the account's concurrency limit."""

ANNOTATION_ROLLOUT = f"{GROUP}/rollout"
"""On an Alias: what a person asks of its rollout, one of ROLLOUT_REQUESTS. `pause` holds while it is there; the
controller takes the others away when they are done."""
ROLLOUT_PAUSE, ROLLOUT_PROMOTE, ROLLOUT_ABORT = "pause", "promote", "abort"
ROLLOUT_REQUESTS = (ROLLOUT_PAUSE, ROLLOUT_PROMOTE, ROLLOUT_ABORT)

ENVIRONMENT_SELECTOR = f"{LABEL_MANAGED_BY}={MANAGED_BY},{LABEL_COMPONENT}={COMPONENT_ENVIRONMENT}"

FIELD_MANAGER_CONTROLLER = "lambent-controller"
FIELD_MANAGER_GATEWAY = "lambent-gateway"
"""Of what hooks reported, in the status of an Alias."""
FIELD_MANAGER_CLI = "lambent-cli"
"""Of what the command line sets in the specification of an Alias."""
INTERNAL_AUDIENCE = "lambent-internal"
VERB_INVOKE = "invoke"
"""The right on functions.lambent.dev that a caller of the public door needs."""
NUMBERS = "lambent-numbers"
"""The ConfigMap of a namespace with the highest number that was ever given to a version, by `<kind>.<name>`."""
CONTAINER_ENVIRONMENT = "environment"
"""The one container of an execution environment's pod."""


def version_label(version: str) -> str:
    """`$LATEST` or a number as labels and keys have it."""
    return VERSION_LATEST_LABEL if version == LATEST else version


def version_of_label(label: str) -> str:
    """`$LATEST` or a number, of a label or a key."""
    return LATEST if label == VERSION_LATEST_LABEL else label

"""Environment variables of a function: the names Lambda keeps for itself, and its words when it refuses.

Source: "Defined runtime environment variables" in the Lambda developer guide. Unreserved defaults (LANG, PATH, TZ,
NODE_PATH …) may be set by a function and are not listed.
"""

from __future__ import annotations

from . import limits
from .schemas import Rule

RESERVED_NAMES: tuple[str, ...] = (
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_MAX_CONCURRENCY",
    "AWS_LAMBDA_METADATA_API",
    "AWS_LAMBDA_METADATA_TOKEN",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
)

NAME_PATTERN = "[a-zA-Z]([a-zA-Z0-9_])+"
"""Lambda's pattern of a variable's name; at least two characters."""

NAME_REFUSED = (
    "1 validation error detected: Value at 'environment.variables' failed to satisfy constraint: Map keys must "
    f"satisfy constraint: [Member must satisfy regular expression pattern: {NAME_PATTERN}]"
)
SIZE_REFUSED = (
    "Lambda was unable to configure your environment variables because the environment variables you have provided "
    "exceeded the 4KB limit."
)
RESERVED_REFUSED = (
    "Lambda was unable to configure your environment variables because the environment variables you have provided "
    "contains reserved keys that are currently not supported for modification. Reserved keys used in this request: "
)
"""The offending names follow, separated by a comma and a space."""

VARIABLES_MAX = 256
VALUE_CHARS_MAX = 8192
"""Twice the limit of all together, so that it is Lambda's rule that answers. The API server multiplies the two bounds
to estimate what the rule may cost, and refuses the kind when the estimate is over its budget."""

_SIZE_AS_JSON = (
    "self.variables.map(name, size(bytes(name)) + 6 + "
    r"""size(bytes(self.variables[name].replace('\\', '..').replace('"', '..')))).sum() + 1"""
)
"""What Lambda measures is the map as compact JSON: quotes, colons, commas and escapes count."""

_RESERVED_USED = " + ".join(f"('{name}' in self.variables ? ', {name}' : '')" for name in RESERVED_NAMES)
"""Literals only: of a filtered list of names the API server cannot estimate the length, and refuses the kind."""

RULES = (
    Rule(
        f"!has(self.variables) || self.variables.all(name, name.matches('^{NAME_PATTERN}$'))",
        NAME_REFUSED,
        ".variables",
    ),
    Rule(
        f"!has(self.variables) || {_SIZE_AS_JSON} <= {limits.ENVIRONMENT_BYTES_MAX}",
        SIZE_REFUSED,
        ".variables",
    ),
    Rule(
        f"!has(self.variables) || !self.variables.exists(name, name in {list(RESERVED_NAMES)})",
        f"{RESERVED_REFUSED}see environment.variables",
        ".variables",
        "FieldValueForbidden",
        message_expression=f"'{RESERVED_REFUSED}' + ({_RESERVED_USED}).substring(2)",
    ),
)
"""Rules of the object that holds the map `variables`."""

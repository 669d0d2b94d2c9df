"""ARNs and function names, as Lambda spells them, and the account a namespace is.

A namespace is an account: its 12-digit id is an annotation that an administrator set, else derived from the
namespace's UID, so that it is stable for the life of the namespace and differs between clusters.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_NAME = r"[a-zA-Z0-9\-_]+"
_FUNCTION = re.compile(
    r"(?:(?:arn:(?P<partition>aws[a-zA-Z-]*):lambda:(?P<region>[a-z0-9-]+):)?"
    r"(?:(?P<account>[0-9]{12}):)?function:|(?P<partial>[0-9]{12}):(?:function:)?)?"
    rf"(?P<name>{_NAME})(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9\-_]+))?"
)
FUNCTION_NAME_PATTERN = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(-gov)?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?"
    r"([a-zA-Z0-9-_\.]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?"
)
"""The pattern that Lambda prints in its ValidationException."""


@dataclass(frozen=True, slots=True)
class FunctionReference:
    """What a caller wrote to name a function: name, partial ARN or ARN, with or without qualifier."""

    name: str
    account: str | None = None
    region: str | None = None
    qualifier: str | None = None


def parse_function_reference(text: str) -> FunctionReference | None:
    """The parts of a function name, partial ARN or ARN; None where Lambda would call it malformed."""
    match = _FUNCTION.fullmatch(text)
    if match is None:
        return None
    return FunctionReference(
        name=match["name"],
        account=match["account"] or match["partial"],
        region=match["region"],
        qualifier=match["qualifier"],
    )


def account_id(namespace_uid: str, annotated: str | None = None) -> str:
    """The 12-digit account id of a namespace."""
    if annotated and re.fullmatch(r"[0-9]{12}", annotated):
        return annotated
    return f"{int.from_bytes(hashlib.sha256(namespace_uid.encode()).digest()[:8], 'big') % 10**12:012d}"


def function_arn(region: str, account: str, name: str, qualifier: str | None = None) -> str:
    """`arn:aws:lambda:<region>:<account>:function:<name>[:<qualifier>]`."""
    arn = f"arn:aws:lambda:{region}:{account}:function:{name}"
    return f"{arn}:{qualifier}" if qualifier else arn

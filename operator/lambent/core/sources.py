"""Is this still the source that the code was obtained from? Then nothing is fetched again. If not: who can help?

Lambda reads an S3 object or resolves a tag when a function is created or its code is updated, never later; and a
restarted controller must not fetch ten thousand archives to find what it had found before. So the status carries a
digest of the source beside the digest of the code.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace

from lambent.core import code_texts, references
from lambent.core.readiness import Obtained, Problem, ResolvedImage, StoredCode
from lambent.core.references import Specification, Versions
from lambent.model.conditions import Reason
from lambent.model.errors import FetchFailed
from lambent.model.functions import FunctionObject, FunctionStatus
from lambent.model.layers import LayerObject, LayerStatus
from lambent.model.troubles import Trouble

CodeOwner = FunctionObject | LayerObject
"""What has code."""

DIGITS = 16

TREATMENTS: Mapping[Trouble, Reason] = {
    # Final: the same request will end the same way. Somebody has to change the specification.
    Trouble.REFUSED: Reason.INVALID_CODE,
    Trouble.MALFORMED: Reason.INVALID_CODE,
    Trouble.REDIRECTED: Reason.INVALID_CODE,
    Trouble.REJECTED: Reason.INVALID_CODE,
    Trouble.WRONG_DIGEST: Reason.INVALID_CODE,
    Trouble.TOO_LARGE: Reason.INVALID_CODE,
    Trouble.ENCODED: Reason.INVALID_CODE,
    # Tried again: it may change without the specification. An object is often uploaded after the Function that names
    # it was applied, and a right is granted, a certificate renewed on the other side.
    Trouble.MISSING: Reason.CODE_UNAVAILABLE,
    Trouble.DENIED: Reason.CODE_UNAVAILABLE,
    Trouble.DISTRUSTED: Reason.CODE_UNAVAILABLE,
    Trouble.UNREACHABLE: Reason.CODE_UNAVAILABLE,
    Trouble.SLOW: Reason.CODE_UNAVAILABLE,
}
AGAIN_FIRST_S, AGAIN_LONGEST_S = 2.0, 120.0


def problem_of(failure: FetchFailed) -> Problem:
    """What a failure means for the function."""
    return Problem(TREATMENTS[failure.trouble], str(failure))


def again_after(failures: int) -> float:
    """Seconds before somebody else's server is asked again, after so many failures in a row."""
    return float(min(AGAIN_LONGEST_S, AGAIN_FIRST_S * 2 ** min(failures - 1, 30)))


def identity(spec: Specification, versions: Versions, generation: int = 0) -> str:
    """16 hex digits over everything that decides which code is obtained.

    A tag in a registry is resolved anew whenever the specification changes: `generation`, which a digest does without.
    """
    origin = spec.origin
    tagged = origin.registry_uri is not None and "@" not in origin.registry_uri
    held = references.of_code(spec)
    content = {
        "code": code_texts.shortened(origin.code).model_dump(mode="json", by_alias=True, exclude_none=True),
        "runtime": origin.runtime,
        "architecture": origin.architecture,
        "pullSecrets": list(origin.pull_secrets),
        "generation": generation if tagged else 0,
        "configMap": versions.get(held, "") if held is not None else "",
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:DIGITS]


def known(status: FunctionStatus | LayerStatus, source: str) -> Obtained | None:
    """The code of this source, as the status tells it; None when it does not."""
    if status.code_source != source or not status.code_sha256:
        return None
    image = status.image if isinstance(status, FunctionStatus) else None
    if image is not None:
        return ResolvedImage(
            resolved_uri=image.resolved_uri,
            digest_hex=status.code_sha256,
            size=status.code_size or 0,
            entry_point=tuple(image.entry_point),
            command=tuple(image.command),
            working_directory=image.working_directory or "/",
            source=source,
        )
    code = stored(status)
    return replace(code, source=source) if code is not None else None


def stored(status: FunctionStatus | LayerStatus) -> StoredCode | None:
    """The archive that a status tells of, whatever it was obtained from."""
    try:
        digest = base64.b64decode(status.code_sha256 or "", validate=True)
    except binascii.Error:
        return None
    if len(digest) != 32:
        return None
    return StoredCode(
        digest.hex(), status.code_sha256 or "", status.code_size or 0, unzipped=status.code_unzipped_size or 0
    )

"""Is this still the source that the code was obtained from? Then nothing is fetched again.

Lambda reads an S3 object or resolves a tag when a function is created or its code is updated, never later; and a
restarted controller must not fetch ten thousand archives to find what it had found before. So the status carries a
digest of the source beside the digest of the code.
"""

from __future__ import annotations

import hashlib
import json

from lambent.core import references
from lambent.core.references import Versions
from lambent.model.functions import FunctionSpec, FunctionStatus

DIGITS = 16


def identity(spec: FunctionSpec, versions: Versions) -> str:
    """16 hex digits over everything that decides which code is obtained."""
    held = references.of_code(spec)
    content = {
        "code": spec.code.model_dump(mode="json", by_alias=True, exclude_none=True),
        "runtime": spec.runtime,  # it names the file of inline source
        "architecture": spec.architectures[0],  # it chooses among the images of a tag
        "pullSecrets": spec.placement.image_pull_secrets if spec.placement and spec.code.image_uri else [],
        "configMap": versions.get(held, "") if held is not None else "",
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:DIGITS]


def is_known(status: FunctionStatus, source: str) -> bool:
    """Whether the status tells the code of this source."""
    return status.code_source == source and bool(status.code_sha256)

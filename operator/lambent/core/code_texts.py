"""Code that stands in the specification itself, when it need not be at hand: its digest stands for it.

A controller that holds ten thousand Functions holds their names and numbers, not their archives. Whoever packages the
code asks the API server for the object again.
"""

from __future__ import annotations

import hashlib
import re

from lambent.model.functions import Code, FunctionSpec

KEPT_CHARS = 512
"""Shorter texts stay: a digest would save nothing."""
_PREFIX = "sha256:"
_DIGEST = re.compile(_PREFIX + "[0-9a-f]{64}")


def leave_out(spec: FunctionSpec) -> FunctionSpec:
    """The specification with digests in place of long texts. What was left out before stays as it is."""
    code = spec.code
    found = {name: text for name in ("inline", "zip_file") if (text := getattr(code, name)) and len(text) > KEPT_CHARS}
    if not found:
        return spec
    digests = {name: _digest(text) for name, text in found.items()}
    return spec.model_copy(update={"code": code.model_copy(update=digests)})


def are_left_out(code: Code) -> bool:
    """Whether a digest stands in place of the text; a text that happens to look like one is asked for in vain."""
    return any(text is not None and _DIGEST.fullmatch(text) for text in (code.inline, code.zip_file))


def _digest(text: str) -> str:
    return _PREFIX + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

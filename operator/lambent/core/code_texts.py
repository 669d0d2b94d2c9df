"""Code that stands in the specification itself, when it need not be at hand: its digest stands for it.

A controller that holds ten thousand Functions holds their names and numbers, not their archives. Whoever packages the
code asks the API server for the object again.
"""

from __future__ import annotations

import hashlib
import re
from typing import TypeVar

from lambent.model.codes import ArchiveSource
from lambent.model.functions import FunctionSpec
from lambent.model.layers import LayerSpec

KEPT_CHARS = 512
"""Shorter texts stay: a digest would save nothing."""
_Specification = TypeVar("_Specification", FunctionSpec, LayerSpec)
_TEXTS = ("inline", "zip_file")
_PREFIX = "sha256:"
_DIGEST = re.compile(_PREFIX + "[0-9a-f]{64}")


def leave_out(spec: _Specification) -> _Specification:
    """The specification with digests in place of long texts. What was left out before stays as it is."""
    origin = spec.origin
    short = shortened(origin.code)
    return spec if short is origin.code else spec.model_copy(update={origin.field: short})


def shortened(code: ArchiveSource) -> ArchiveSource:
    """Code with digests in place of long texts; the same object where there are none."""
    found = {name: text for name in _TEXTS if (text := getattr(code, name, None)) and len(text) > KEPT_CHARS}
    return code.model_copy(update={name: _digest(text) for name, text in found.items()}) if found else code


def are_left_out(code: ArchiveSource) -> bool:
    """Whether a digest stands in place of the text; a text that happens to look like one is asked for in vain."""
    texts = (getattr(code, name, None) for name in _TEXTS)
    return any(text is not None and _DIGEST.fullmatch(text) for text in texts)


def _digest(text: str) -> str:
    return _PREFIX + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

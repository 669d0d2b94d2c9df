"""What stands in examples/ is what the kind takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lambent.model.functions import FunctionSpec

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FILES = sorted(EXAMPLES.glob("**/function.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(EXAMPLES).parent))
def test_an_example_is_a_function(path):
    """Field by field, without one that the kind does not know; inline code is Python."""
    functions = [body for body in yaml.safe_load_all(path.read_text()) if body["kind"] == "Function"]
    assert functions
    for body in functions:
        spec = FunctionSpec.model_validate(body["spec"], extra="forbid")
        if spec.code.inline is not None and (spec.runtime or "").startswith("python"):
            compile(spec.code.inline, str(path), "exec")

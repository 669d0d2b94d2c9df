"""The catalogue of runtimes against AWS's own list."""

from __future__ import annotations

import re
from datetime import date
from itertools import pairwise
from pathlib import Path

import botocore.session
import pytest

from lambent.model.functions import FunctionSpec
from lambent.model.runtimes import CATALOGUE

PAGE = Path(__file__).resolve().parents[2] / "docs/guide/runtimes.md"


def test_the_identifiers_are_lambdas():
    """Those of the API's own model, no more and no fewer."""
    model = botocore.session.Session().get_service_model("lambda")
    assert CATALOGUE.keys() == set(model.shape_for("Runtime").enum)


@pytest.mark.parametrize("runtime", CATALOGUE.values(), ids=CATALOGUE)
def test_the_days_come_in_lambdas_order(runtime):
    """First deprecated, then no new ones, then no changes (Lambda@Edge's own runtime alone was never for new ones)."""
    days = [day for day in (runtime.deprecated, runtime.creation_blocked, runtime.update_blocked) if day is not None]
    assert runtime.identifier == "nodejs4.3-edge" or all(first <= then for first, then in pairwise(days))


def test_only_python_and_nodejs_take_code_inline():
    """As CloudFormation's ZipFile does."""
    inline = {runtime.family: runtime.inline_file for runtime in CATALOGUE.values() if runtime.inline_file}
    assert inline == {"python": "index.py", "nodejs": "index.js"}


def test_the_page_has_the_catalogue():
    """docs/guide/runtimes.md: every identifier with its days."""
    day = r"(\d{4}-\d\d-\d\d|unknown)"
    rows = re.findall(rf"^\| `(\S+)` \| [^|]+ \| {day} \| {day} \| {day} \|$", PAGE.read_text(), re.MULTILINE)
    read = {name: tuple(None if day == "unknown" else date.fromisoformat(day) for day in days) for name, *days in rows}
    assert read == {name: (one.deprecated, one.creation_blocked, one.update_blocked) for name, one in CATALOGUE.items()}


def test_admission_knows_the_catalogue():
    """An identifier that Lambda does not have is refused with Lambda's words, by a rule that names every one."""
    [rule] = [rule for rule in FunctionSpec.rules if rule.field_path == ".runtime" and rule.message_expression]
    assert re.findall(r"'([^']+)'", rule.expression) == list(CATALOGUE)
    assert "or be a valid ARN" in rule.message_expression

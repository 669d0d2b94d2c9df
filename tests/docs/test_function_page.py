"""docs/spec/function.md says what the model says; layer.md what of it is about layers."""

from __future__ import annotations

import re

import pytest
import yaml

from lambent.model import limits
from lambent.model.conditions import (
    ALIAS_CONDITIONS,
    ALIAS_ONLY_REASONS,
    LAYER_CONDITIONS,
    LAYER_ONLY_REASONS,
    VERSION_CONDITIONS,
    VERSION_ONLY_REASONS,
    ConditionType,
    Reason,
)
from lambent.model.functions import FunctionSpec
from lambent.tools import spec_pages

PAGE = spec_pages.PAGES / "function.md"
TEXT = PAGE.read_text()
LAYER_TEXT = (spec_pages.PAGES / "layer.md").read_text()
VERSION_TEXT = (spec_pages.PAGES / "version.md").read_text()
ALIAS_TEXT = (spec_pages.PAGES / "alias.md").read_text()
ELSEWHERE = (*LAYER_ONLY_REASONS, *VERSION_ONLY_REASONS, *ALIAS_ONLY_REASONS)


def section(title, text=TEXT):
    """The text below a heading, up to the next heading of any level."""
    (found,) = re.findall(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", text, re.DOTALL | re.MULTILINE)
    return found


def first_cells(table):
    return re.findall(r"^\| `([A-Za-z]+)` \|", table, re.MULTILINE)


def test_generated_tables_are_what_the_generator_writes():
    """`python -m lambent.tools.spec_pages` after a change of the model."""
    for path, text in spec_pages.pages().items():
        assert path.read_text() == text, f"{path.name}: run `make generate`"


def test_every_table_of_the_generator_is_on_the_page():
    """A marker that was lost takes its table with it."""
    for kind in spec_pages.KINDS:
        document = spec_pages.definition(kind)
        text = (spec_pages.PAGES / f"{document['spec']['names']['singular']}.md").read_text()
        names = re.findall(r"<!-- generated: ([a-z-]+) -->", text)
        assert sorted(names) == sorted(spec_pages.tables(document))


def test_an_unknown_table_is_an_error():
    """A misspelt marker must not stay empty."""
    with pytest.raises(spec_pages.UnknownTable):
        spec_pages.fill("<!-- generated: nothing -->\n<!-- end -->", {})


def test_every_condition_is_explained_and_none_is_invented():
    """The page and model/conditions.py list the same types."""
    assert first_cells(section("Conditions")) == [
        one for one in ConditionType if one not in (ConditionType.CONTENT_STORED, ConditionType.DUPLICATE)
    ]
    assert first_cells(section("Conditions", LAYER_TEXT)) == list(LAYER_CONDITIONS)
    assert first_cells(section("Conditions", VERSION_TEXT)) == list(VERSION_CONDITIONS)
    assert first_cells(section("Conditions", ALIAS_TEXT)) == list(ALIAS_CONDITIONS)


def test_every_reason_is_explained_and_none_is_invented():
    """The page and model/conditions.py list the same reasons, in the same order."""
    assert first_cells(section("Reasons")) == [reason for reason in Reason if reason not in ELSEWHERE]
    told = first_cells(section("Reasons", LAYER_TEXT))
    assert set(LAYER_ONLY_REASONS) <= set(told) <= set(Reason)
    assert first_cells(section("Reasons", VERSION_TEXT)) == list(VERSION_ONLY_REASONS)
    assert first_cells(section("Reasons", ALIAS_TEXT)) == [Reason.FUNCTION_NOT_FOUND, *ALIAS_ONLY_REASONS]


def test_reasons_name_conditions_that_exist():
    """The second column of the table of reasons."""
    rows = section("Reasons") + section("Reasons", LAYER_TEXT)
    for row in re.findall(r"^\| `[A-Za-z]+` \| ([^|]*) \|", rows, re.MULTILINE):
        for name in re.findall(r"`([A-Za-z]+)`", row):
            assert name in list(ConditionType)


def test_the_example_is_a_function():
    """What is copied from the page works."""
    (example,) = re.findall(r"```yaml\n(.*?)```", section("Example"), re.DOTALL)
    body = yaml.safe_load(example)
    assert body["kind"] == "Function"
    spec = FunctionSpec.model_validate(body["spec"])
    assert FunctionSpec.model_validate(body["spec"], extra="forbid") == spec
    assert spec.memory_size == 512


@pytest.mark.parametrize(
    "words",
    [
        f"{limits.MEMORY_MB_MIN} to {limits.MEMORY_MB_MAX:,} MB",
        f"{limits.TIMEOUT_S_MIN} to {limits.TIMEOUT_S_MAX} s, default {limits.TIMEOUT_S_DEFAULT} s",
        f"{limits.EPHEMERAL_MB_MIN} to {limits.EPHEMERAL_MB_MAX:,} MB",
        f"one vCPU at {limits.MEMORY_MB_PER_VCPU:,} MB, linear, at most six",
        f"{limits.ZIP_BYTES_MAX // limits.MIB} MB zipped, {limits.UNZIPPED_BYTES_MAX // limits.MIB} MB unzipped",
        f"| tags | {limits.TAGS_MAX} |",
        f"{limits.FUNCTION_NAME_CHARS_MAX} characters",
    ],
)
def test_the_limits_are_those_of_the_model(words):
    """A number on the page is a number in model/limits.py."""
    assert words in section("Limits")

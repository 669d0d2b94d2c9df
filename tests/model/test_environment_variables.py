"""Lambda's rules of environment variables."""

from __future__ import annotations

import re

import pytest

from lambent.model import environment_variables as variables
from lambent.model import limits


@pytest.mark.parametrize("name", ["AB", "a1", "PATH", "AWS_LAMBDA_EXEC_WRAPPER"])
def test_a_name_that_lambda_allows(name):
    """A letter, then at least one letter, digit or underscore."""
    assert re.fullmatch(variables.NAME_PATTERN, name)
    assert name not in variables.RESERVED_NAMES


@pytest.mark.parametrize("name", ["", "A", "1A", "_HANDLER", "MY-NAME", "A B", "É1"])
def test_a_name_that_lambda_refuses(name):
    """The pattern is the Lambda API's own."""
    assert not re.fullmatch(variables.NAME_PATTERN, name)


def test_reserved_names_are_sorted_and_unique():
    """One list, easy to compare with Lambda's page."""
    names = [name for name in variables.RESERVED_NAMES if not name.startswith("_")]
    assert names == sorted(set(names))


def test_a_value_over_the_limit_reaches_the_rule_that_names_the_limit():
    """The schema's bound would answer in words that are not Lambda's."""
    assert variables.VALUE_CHARS_MAX > limits.ENVIRONMENT_BYTES_MAX
    assert limits.ENVIRONMENT_BYTES_MAX / len('"AB":"",') > variables.VARIABLES_MAX

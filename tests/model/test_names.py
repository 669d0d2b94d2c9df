"""Labels and annotations are valid for Kubernetes and distinct."""

from __future__ import annotations

import re

import pytest

from lambent.model import names

QUALIFIED = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
KEYS = {name: value for name, value in vars(names).items() if name.startswith(("LABEL_", "ANNOTATION_"))}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_key_is_a_qualified_name(key):
    """The API server would refuse every object with another one."""
    assert QUALIFIED.fullmatch(key)


def test_no_two_keys_are_the_same():
    """Each means one thing."""
    assert len(set(KEYS.values())) == len(KEYS)


def test_values_are_label_values():
    """`$LATEST` is none, which is why there is another word for it."""
    for value in (names.VERSION_LATEST_LABEL, names.MANAGED_BY, names.COMPONENT_ENVIRONMENT):
        assert VALUE.fullmatch(value)
    assert not VALUE.fullmatch(names.LATEST)

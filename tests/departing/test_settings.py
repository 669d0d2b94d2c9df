"""What `lambent depart` is told."""

from __future__ import annotations

import pytest

from lambent.departing.settings import Settings

GIVEN = {
    "LAMBENT_POD_NAMESPACE": "system",
    "LAMBENT_RELEASE_NAME": "my.faas",
    "LAMBENT_PROCESS_NAME_PREFIX": "my-faas-",
    "LAMBENT_NAMESPACES": "one, two",
    "LAMBENT_DEPART_SECONDS": "90",
}


def test_settings_are_read_from_the_environment():
    """As the chart writes them."""
    assert Settings.from_environment(GIVEN) == Settings("system", "my.faas", "my-faas-", ("one", "two"), 90.0)
    assert Settings.from_environment({**GIVEN, "LAMBENT_NAMESPACES": ""}).namespaces == ()


@pytest.mark.parametrize(
    "change",
    [
        {"LAMBENT_POD_NAMESPACE": ""},
        {"LAMBENT_RELEASE_NAME": ""},
        {"LAMBENT_PROCESS_NAME_PREFIX": ""},
        {"LAMBENT_DEPART_SECONDS": "soon"},
        {"LAMBENT_DEPART_SECONDS": "1"},
    ],
)
def test_what_makes_no_sense_is_refused_by_name(change):
    """The message is all that a person sees of a hook that does not start."""
    (name,) = change
    with pytest.raises(ValueError, match=name):
        Settings.from_environment({**GIVEN, **change})

"""Amounts of CPU."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.model.quantities import cpu, millicores

QUANTITIES = {"72m": 72, "1": 1000, "1500m": 1500, "6": 6000, "0": 0, "1000m": 1000}


@pytest.mark.parametrize(("text", "expected"), QUANTITIES.items())
def test_a_quantity_is_so_many_millicores(text, expected):
    """As the API server writes them."""
    assert millicores(text) == expected


@pytest.mark.parametrize("text", ["", "m", "0.5", "1e3", "1k", "-1", "+1", " 1", "1 ", "72M", "٣", 1, 0.5, None])
def test_what_the_api_server_never_writes_is_refused(text):
    """Half understood would be wrong by a factor of a thousand."""
    with pytest.raises(ValueError, match="not a quantity"):
        millicores(text)


@given(st.integers(0, 10**6))
def test_what_is_written_is_read(number):
    """Round trip."""
    assert millicores(cpu(number)) == number

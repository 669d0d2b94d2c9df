"""Code that stands in a specification, and its digest."""

from hypothesis import given
from hypothesis import strategies as st

from lambent.core import code_texts, sources
from lambent.model.functions import FunctionSpec


def spec(**code):
    return FunctionSpec.model_validate({"runtime": "python3.11", "handler": "i.h", "code": code})


def test_a_long_text_is_left_out_and_a_short_one_stays():
    """What is kept is small either way."""
    long, short = spec(inline="x" * 5000), spec(inline="x = 1")
    assert len(code_texts.leave_out(long).code.inline) < 100
    assert code_texts.are_left_out(code_texts.leave_out(long).code)
    assert code_texts.leave_out(short) is short
    assert not code_texts.are_left_out(short.code)
    assert code_texts.are_left_out(code_texts.leave_out(spec(zipFile="A" * 5000)).code)


@given(st.text(min_size=1, max_size=2000), st.sampled_from(["inline", "zipFile"]))
def test_the_identity_of_a_source_is_the_same_with_and_without_its_text(text, member):
    """So a restarted controller, which holds no text, knows what the status tells."""
    whole = spec(**{member: text})
    slim = code_texts.leave_out(whole)
    assert sources.identity(slim, {}) == sources.identity(whole, {})
    assert code_texts.leave_out(slim) == slim


def test_another_text_is_another_source():
    """Also where only the end differs."""
    assert sources.identity(spec(inline="x" * 600 + "a"), {}) != sources.identity(spec(inline="x" * 600 + "b"), {})

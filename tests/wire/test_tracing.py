"""Trace headers: what comes in, what the function gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.wire import tracing

ENTROPY = "0123456789abcdef" * 2 + "01234567"
PARENT = ENTROPY[24:40]
NEW = f"Root=1-0000abcd-{ENTROPY[:24]};Parent={PARENT}"
ROOT = "Root=1-5759e988-bd862e3fe1be46a994272793"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CONVERTED = f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent={SPAN}"
X_RAY, W3C = "x-amzn-trace-id", "traceparent"


def header(sampled: bool | None, **given: str) -> str:
    """With a decision of ours, or None where none may be asked for."""

    def sample() -> bool:
        assert sampled is not None, "the caller has decided"
        return sampled

    headers = {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in given.items()}
    return tracing.trace_header(headers, 0xABCD, ENTROPY, sample)


GIVEN = {
    "all of it stays as it is": (f"{ROOT};Parent=53995c3f42cd8ad8;Sampled=1", None),
    "a caller's no stays": (f"{ROOT};Parent=53995c3f42cd8ad8;Sampled=0", None),
    "lineage and what nobody knows stay": (
        f"{ROOT};Parent=a;Sampled=1;Lineage=1:a87bd80c:0;Self=1-x;CalledFrom=app",
        None,
    ),
}


@pytest.mark.parametrize(("text", "sampled"), GIVEN.values(), ids=GIVEN)
def test_a_complete_header_is_passed_on_byte_for_byte(text, sampled):
    """Nothing is asked and nothing written anew."""
    assert header(sampled, x_amzn_trace_id=text) == text


OPEN = {
    "a root alone, sampled": (ROOT, True, f"{ROOT};Parent={PARENT};Sampled=1"),
    "a root alone, not sampled": (ROOT, False, f"{ROOT};Parent={PARENT};Sampled=0"),
    "no decision": (f"{ROOT};Parent=a", True, f"{ROOT};Parent=a;Sampled=1"),
    "you decide": (f"{ROOT};Parent=a;Sampled=?", True, f"{ROOT};Parent=a;Sampled=1"),
    "a decision without a parent": (f"{ROOT};Sampled=1", None, f"{ROOT};Parent={PARENT};Sampled=1"),
    "another order, with spaces": (
        f"Sampled=1; {ROOT}; Lineage=1:a:0",
        None,
        f"{ROOT};Parent={PARENT};Sampled=1;Lineage=1:a:0",
    ),
    "a load balancer's own field first": (f"Self=1-x;{ROOT}", False, f"{ROOT};Parent={PARENT};Sampled=0;Self=1-x"),
}


@pytest.mark.parametrize(("text", "sampled", "expected"), OPEN.values(), ids=OPEN)
def test_what_a_caller_leaves_open_is_filled_in(text, sampled, expected):
    """A parent of ours, the decision of the function's mode; everything else stays."""
    assert header(sampled, x_amzn_trace_id=text) == expected


NONE = ["", "x", "Root=", "Root=\u00e9", "Root=1" + "x" * 1024, "Root=\x7f", "Parent=a;Sampled=1"]


@pytest.mark.parametrize("text", NONE)
@pytest.mark.parametrize("sampled", [True, False])
def test_what_names_no_root_gets_a_new_trace(text, sampled):
    """As does a call without a header."""
    expected = f"{NEW};Sampled={int(sampled)}"
    assert header(sampled, x_amzn_trace_id=text) == header(sampled) == expected


TRACEPARENTS = {
    "sampled": (f"00-{TRACE}-{SPAN}-01", f"{CONVERTED};Sampled=1"),
    "not sampled": (f"00-{TRACE}-{SPAN}-00", f"{CONVERTED};Sampled=0"),
    "with flags that nobody knows": (f"00-{TRACE}-{SPAN}-fe", f"{CONVERTED};Sampled=0"),
    "of a later version": (f"cc-{TRACE}-{SPAN}-01-more", f"{CONVERTED};Sampled=1"),
}


@pytest.mark.parametrize(("text", "expected"), TRACEPARENTS.values(), ids=TRACEPARENTS)
def test_a_traceparent_becomes_a_trace_header(text, expected):
    """The same ids with X-Ray's dashes; its caller has decided."""
    assert header(None, traceparent=text) == expected
    assert header(None, traceparent=text, x_amzn_trace_id=f"{ROOT};Parent=a;Sampled=1") == f"{ROOT};Parent=a;Sampled=1"


BAD = {
    "version ff": f"ff-{TRACE}-{SPAN}-01",
    "version 00 with more": f"00-{TRACE}-{SPAN}-01-more",
    "no trace": f"00-{'0' * 32}-{SPAN}-01",
    "no parent": f"00-{TRACE}-{'0' * 16}-01",
    "capitals": f"00-{TRACE.upper()}-{SPAN}-01",
    "too short": f"00-{TRACE[1:]}-{SPAN}-01",
    "something else": "\u00e9",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_a_bad_traceparent_is_none(text):
    """As the standard wants it: a new trace."""
    assert header(False, traceparent=text) == f"{NEW};Sampled=0"


@given(st.text(alphabet=st.characters(max_codepoint=0xFF), max_size=60), st.booleans())
def test_no_header_breaks_its_line_or_loses_its_decision(text, sampled):
    """Whatever a caller sends, what goes on is one printable line that says whether it is sampled."""
    for name in ("x_amzn_trace_id", "traceparent"):
        for prefix in ("", f"{ROOT};", f"{ROOT};Sampled=", f"00-{TRACE}-"):
            passed = tracing.trace_header(
                {name.replace("_", "-").encode(): (prefix + text).encode("latin-1")}, 1, ENTROPY, lambda: sampled
            )
            assert passed.isascii()
            assert passed.isprintable()
            assert "Root=" in passed
            assert "Sampled=0" in passed or "Sampled=1" in passed


SPANS = {
    "a trace of ours": (f"{NEW};Sampled=1", (int("0000abcd" + ENTROPY[:24], 16), int(PARENT, 16), True)),
    "a converted one": (f"{CONVERTED};Sampled=0", (int(TRACE, 16), int(SPAN, 16), False)),
    "a root that is none": ("Root=abc;Parent=53995c3f42cd8ad8;Sampled=1", None),
    "a parent that is none": (f"{ROOT};Parent=a;Sampled=1", None),
}


@pytest.mark.parametrize(("text", "expected"), SPANS.values(), ids=SPANS)
def test_a_trace_header_has_the_ids_of_a_span(text, expected):
    """Where they are ids at all."""
    assert tracing.span_context(text) == expected

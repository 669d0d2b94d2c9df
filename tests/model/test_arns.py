"""Names and ARNs of functions, as callers write them."""

from __future__ import annotations

import re

import pytest

from lambent.model.arns import (
    FUNCTION_NAME_PATTERN,
    FunctionReference,
    account_id,
    function_arn,
    parse_function_reference,
)

ACCOUNT = "123456789012"
ARN = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:resize"

REFERENCES = {
    "a name": ("resize", FunctionReference("resize")),
    "a name with upper case, digits, hyphen and underscore": ("Re_size-2", FunctionReference("Re_size-2")),
    "a name with $LATEST": ("resize:$LATEST", FunctionReference("resize", qualifier="$LATEST")),
    "a name with an alias": ("resize:live", FunctionReference("resize", qualifier="live")),
    "a name with a version": ("resize:7", FunctionReference("resize", qualifier="7")),
    "a name that is the word function": ("function", FunctionReference("function")),
    "a partial ARN": (f"{ACCOUNT}:function:resize", FunctionReference("resize", ACCOUNT)),
    "a partial ARN with a qualifier": (
        f"{ACCOUNT}:function:resize:live",
        FunctionReference("resize", ACCOUNT, qualifier="live"),
    ),
    "a partial ARN without the word function": (f"{ACCOUNT}:resize", FunctionReference("resize", ACCOUNT)),
    "an ARN": (ARN, FunctionReference("resize", ACCOUNT, "eu-west-1")),
    "an ARN with a qualifier": (f"{ARN}:$LATEST", FunctionReference("resize", ACCOUNT, "eu-west-1", "$LATEST")),
    "an ARN of another partition": (
        f"arn:aws-us-gov:lambda:us-gov-west-1:{ACCOUNT}:function:resize:3",
        FunctionReference("resize", ACCOUNT, "us-gov-west-1", "3"),
    ),
}

MALFORMED = {
    "nothing": "",
    "a space": "re size",
    "a dot": "re.size",
    "a slash": "re/size",
    "an empty qualifier": "resize:",
    "another $ word": "resize:$OLDEST",
    "two qualifiers": "resize:a:b:c",
    "an account that is too short": "arn:aws:lambda:eu-west-1:123:function:resize",
    "another service": f"arn:aws:s3:eu-west-1:{ACCOUNT}:function:resize",
    "a trailing newline": "resize\n",
    "a name with something after it": f"{ARN}:live:more",
}


@pytest.mark.parametrize(("text", "reference"), REFERENCES.values(), ids=REFERENCES)
def test_a_reference_is_taken_apart(text, reference):
    """Name, partial ARN and ARN, each with or without a qualifier."""
    assert reference == parse_function_reference(text)


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_what_lambda_calls_malformed_is_none(text):
    """The gateway answers these with Lambda's ValidationException."""
    assert parse_function_reference(text) is None


def test_an_arn_is_read_as_it_was_written():
    """function_arn and parse_function_reference agree."""
    assert function_arn("eu-west-1", ACCOUNT, "resize") == ARN
    assert function_arn("eu-west-1", ACCOUNT, "resize", "live") == f"{ARN}:live"
    assert parse_function_reference(f"{ARN}:live") == FunctionReference("resize", ACCOUNT, "eu-west-1", "live")


def test_the_pattern_that_is_shown_accepts_what_is_accepted():
    """The pattern is Lambda's; it is shown in errors, not used."""
    for text, _ in REFERENCES.values():
        if "us-gov" not in text:
            assert re.fullmatch(FUNCTION_NAME_PATTERN, text)


def test_an_account_is_twelve_digits_and_stable():
    """A namespace's UID says the account, unless an administrator did."""
    derived = account_id("0b5cfb4e-41e2-4a24-9c3c-6d1f0e8a7b11")
    assert re.fullmatch(r"\d{12}", derived)
    assert derived == account_id("0b5cfb4e-41e2-4a24-9c3c-6d1f0e8a7b11")
    assert derived != account_id("another")
    assert account_id("another", ACCOUNT) == ACCOUNT


@pytest.mark.parametrize("annotated", ["", "12345678901", "1234567890123", "12345678901x", None, "١٢٣٤٥٦٧٨٩٠١٢"])
def test_an_annotation_that_is_no_account_is_ignored(annotated):
    """Twelve ASCII digits or nothing."""
    assert account_id("uid", annotated) == account_id("uid")

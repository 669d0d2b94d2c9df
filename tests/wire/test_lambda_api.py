"""Lambda's Invoke as it is spoken: targets, headers, events and errors."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.model import errors
from lambent.model.arns import FunctionReference
from lambent.wire import lambda_api

PATH = "/2015-03-31/functions/{}/invocations"
STREAM_PATH = "/2021-11-15/functions/{}/response-streaming-invocations"


@pytest.mark.parametrize(
    ("target", "reference", "qualifier", "qualified"),
    [
        (PATH.format("f"), FunctionReference("f"), "$LATEST", False),
        (PATH.format("f") + "?Qualifier=live", FunctionReference("f"), "live", True),
        (PATH.format("f") + "?Qualifier=%24LATEST", FunctionReference("f"), "$LATEST", True),
        (PATH.format("f%3Alive"), FunctionReference("f", qualifier="live"), "live", True),
        (PATH.format("f:1") + "?Qualifier=1", FunctionReference("f", qualifier="1"), "1", True),
        (PATH.format("123456789012:f"), FunctionReference("f", "123456789012"), "$LATEST", False),
        (
            PATH.format("arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af%3A7"),
            FunctionReference("f", "123456789012", "us-east-1", "7"),
            "7",
            True,
        ),
    ],
)
def test_targets_name_a_function_and_a_qualifier(target, reference, qualifier, qualified):
    """Name, partial ARN or ARN, percent-encoded or not."""
    assert lambda_api.parse_target("POST", target.encode()) == lambda_api.Target(reference, qualifier, qualified)


def test_a_streaming_target_is_the_same_under_another_path():
    """Of another date, and not of the old one."""
    assert lambda_api.parse_target("POST", STREAM_PATH.format("f:1").encode()) == lambda_api.Target(
        FunctionReference("f", qualifier="1"), "1", qualified=True, streaming=True
    )


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("/", errors.UnknownOperation),
        (STREAM_PATH.format(""), errors.UnknownOperation),
        (STREAM_PATH.format("f").replace("2021-11-15", "2015-03-31"), errors.UnknownOperation),
        (PATH.format("f").replace("2015-03-31", "2021-11-15"), errors.UnknownOperation),
        (STREAM_PATH.format("f") + "?Qualifier=", errors.ValidationFailed),
        (PATH.format(""), errors.UnknownOperation),
        (PATH.format("a/b"), errors.UnknownOperation),
        (PATH.format("f") + "/", errors.UnknownOperation),
        ("/2015-03-31/functions/invocations", errors.UnknownOperation),
        (PATH.format("a%2Fb"), errors.ValidationFailed),
        (PATH.format("a" * 257), errors.ValidationFailed),
        (PATH.format("f") + "?Qualifier=", errors.ValidationFailed),
        (PATH.format("f") + "?Qualifier=" + "a" * 129, errors.ValidationFailed),
        (PATH.format("f") + "?Qualifier=a%0Ab", errors.ValidationFailed),
        (PATH.format("f:1") + "?Qualifier=2", errors.InvalidParameterValue),
    ],
)
def test_bad_targets_are_typed_errors(target, kind):
    """As Lambda words them."""
    with pytest.raises(kind):
        lambda_api.parse_target("POST", target.encode())


def test_options_default_to_a_synchronous_call_without_log():
    """No headers at all."""
    assert lambda_api.parse_options({}) == lambda_api.Options("RequestResponse", tail=False, client_context=None)
    context = base64.b64encode(b"{}").decode()
    asked = {
        b"x-amz-invocation-type": b"DryRun",
        b"x-amz-log-type": b"Tail",
        b"x-amz-client-context": context.encode(),
    }
    assert lambda_api.parse_options(asked) == lambda_api.Options("DryRun", tail=True, client_context=context)


def test_an_event_cannot_be_streamed():
    """The operation has two of Invoke's three types."""
    with pytest.raises(errors.ValidationFailed, match=r"enum value set: \[RequestResponse, DryRun\]"):
        lambda_api.parse_options({b"x-amz-invocation-type": b"Event"}, streaming=True)
    lambda_api.parse_options({b"x-amz-invocation-type": b"Event"})


@pytest.mark.parametrize("context", ["e", "!!!!", "bnVsbA==", "W10=", base64.b64encode(b"[" * 2600).decode()])
def test_a_client_context_is_base64_of_an_object(context):
    """Else InvalidRequestContentException."""
    with pytest.raises(errors.InvalidRequestContent):
        lambda_api.parse_options({b"x-amz-client-context": context.encode()})


def test_a_client_context_has_3583_bytes_at_most():
    """Of base64, as it is sent: four at a time."""
    largest, larger = (base64.b64encode(b'{"custom":"' + b"x" * size + b'"}') for size in (2672, 2673))
    assert (len(largest), len(larger)) == (3580, 3584)
    assert lambda_api.parse_options({b"x-amz-client-context": largest}).client_context == largest.decode()
    with pytest.raises(errors.InvalidRequestContent, match="no longer than 3583 bytes"):
        lambda_api.parse_options({b"x-amz-client-context": larger})


def identity(**members) -> bytes:
    return base64.b64encode(json.dumps(members).encode())


def test_a_cognito_identity_is_passed_on_as_the_runtime_api_has_it():
    """Its two members, on one line."""
    given = identity(cognitoIdentityPoolId="eu-1:p\n", cognitoIdentityId="eu-1:i", more=1)
    options = lambda_api.parse_options({b"x-amz-cognito-identity": given})
    assert options.cognito_identity == r'{"cognitoIdentityId":"eu-1:i","cognitoIdentityPoolId":"eu-1:p\n"}'


@pytest.mark.parametrize(
    "given",
    [
        b"e",
        b"W10=",
        identity(),
        identity(cognitoIdentityId="i"),
        identity(cognitoIdentityId="i", cognitoIdentityPoolId=""),
        identity(cognitoIdentityId="i", cognitoIdentityPoolId=7),
        identity(cognitoIdentityId="i", cognitoIdentityPoolId="p" * 1000),
    ],
)
def test_a_cognito_identity_has_both_its_members(given):
    """Else InvalidRequestContentException."""
    with pytest.raises(errors.InvalidRequestContent, match="cognitoIdentityPoolId"):
        lambda_api.parse_options({b"x-amz-cognito-identity": given})


@pytest.mark.parametrize(
    ("error", "fields"),
    [
        (errors.ResourceNotFound("no"), {"Type": "User", "Message": "no"}),
        (errors.ServiceFailed("no"), {"Type": "Server", "Message": "no"}),
        (errors.InvalidParameterValue("no"), {"Type": "User", "message": "no"}),
        (errors.ValidationFailed("no"), {"message": "no"}),
        (errors.RequestEntityTooLarge("no"), {"message": "no"}),
        (errors.ResourceConflict("nö"), {"Type": "User", "message": "nö"}),
        (errors.UnknownOperation("no"), {"Type": "User", "message": "no"}),
        (
            errors.TooManyRequests(),
            {"Type": "User", "message": "Rate Exceeded.", "Reason": "ConcurrentInvocationLimitExceeded"},
        ),
    ],
)
def test_errors_have_aws_own_casing(error, fields):
    """`message` or `Message`, per shape; the type in a header."""
    headers, body = lambda_api.encode_error(error, "id-1")
    assert json.loads(body) == fields
    assert dict(headers)[b"x-amzn-ErrorType"].decode() == error.code
    assert dict(headers)[b"x-amzn-RequestId"] == b"id-1"


def test_error_shapes_agree_with_botocore():
    """The member's casing and the status of every modelled error are those of AWS's own model."""
    import botocore.session

    model = botocore.session.get_session().get_service_model("lambda")
    for kind in errors.LambdaError.__subclasses__():
        if kind.code not in model.shape_names:
            continue
        shape = model.shape_for(kind.code)
        assert kind.member in shape.members, kind
        assert shape.metadata["error"]["httpStatusCode"] == kind.status


@given(st.binary(min_size=16, max_size=16))
def test_request_ids_are_uuids_of_version_four(entropy):
    """As the standard library would make them of the same bytes."""
    import uuid

    assert lambda_api.request_id(entropy.hex()) == str(uuid.UUID(bytes=entropy, version=4))

"""Who may invoke what: Kubernetes' own identities and rights, asked by AWS's own client."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError
from conftest import NAMESPACE, OTHER_NAMESPACE, client_of
from driving import Driver, eventually

ECHO = "def handler(e, c): return e\n"


@pytest.fixture(scope="module")
def echo(cluster, release, lambda_client):
    driving = Driver(cluster, release, lambda_client, NAMESPACE)
    yield driving.function(ECHO)
    driving.clean_up()


@pytest.fixture(scope="module")
def foreign(cluster, release, lambda_client):
    """A function of the other namespace."""
    driving = Driver(cluster, release, lambda_client, OTHER_NAMESPACE)
    yield driving.function("def handler(e, c): return 'foreign'\n")
    driving.clean_up()


def refused(client, name, **arguments):
    """Status, code and message of a refusal."""
    with pytest.raises(ClientError) as error:
        client.invoke(FunctionName=name, Payload=b"{}", **arguments)
    answer = error.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def posted(url, name, headers):
    """Status and body of a plain HTTP request."""
    request = urllib.request.Request(f"{url}/2015-03-31/functions/{name}/invocations", b"{}", headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def in_namespace(client, namespace):
    """The client naming a namespace in every request."""

    def name_it(params, **_):
        params["headers"]["X-Lambent-Namespace"] = namespace

    client.meta.events.register("before-call.lambda.Invoke", name_it)
    return client


def test_a_bearer_token_opens_the_door(gateway_url, token, echo):
    """curl's way."""
    assert posted(gateway_url, echo, {"Authorization": f"Bearer {token}"}) == (200, b"{}")


def test_nobody_is_not_served(gateway_url, echo):
    """Without credentials there is no answer about any function."""
    status, body = posted(gateway_url, echo, {})
    assert status == 403
    assert json.loads(body)["message"] == "Missing Authentication Token"


def test_keys_of_aws_without_a_token_are_not_served(gateway_url, echo):
    """A signature alone says nothing here yet."""
    assert refused(client_of(gateway_url, None), echo)[0] == 403


@pytest.mark.parametrize("fake", ["x", "a.b.c", "ey" + "J" * 4000])
def test_a_token_of_ones_own_making_is_not_served(gateway_url, echo, fake):
    """TokenReview knows its own."""
    assert refused(client_of(gateway_url, fake), echo) == (
        403,
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    )


def test_an_identity_without_the_right_learns_nothing(release, gateway_url, echo):
    """The same words for what exists and for what does not."""
    client = client_of(gateway_url, release.caller(NAMESPACE, "stranger", may_invoke=False))
    existing, missing = refused(client, echo), refused(client, "no-such-function")
    assert existing[:2] == missing[:2] == (403, "AccessDeniedException")
    assert (
        f"system:serviceaccount:{NAMESPACE}:stranger is not authorized to perform: lambda:InvokeFunction" in existing[2]
    )
    assert existing[2].replace(echo, "no-such-function") == missing[2]


def test_an_identity_with_the_right_hears_that_there_is_no_such_function(lambda_client):
    """404 is for those who may ask."""
    assert refused(lambda_client, "no-such-function")[:2] == (404, "ResourceNotFoundException")


def test_naming_another_namespace_helps_nobody(release, gateway_url, token, foreign, cluster):
    """Neither by header nor by ARN; a right there does."""
    found = cluster.get("fn", foreign, "-n", OTHER_NAMESPACE)
    arn = found["status"]["functionArn"]
    stranger = in_namespace(client_of(gateway_url, token), OTHER_NAMESPACE)
    assert refused(stranger, foreign)[:2] == (403, "AccessDeniedException")
    assert refused(client_of(gateway_url, token), arn)[:2] == (403, "AccessDeniedException")
    member = client_of(gateway_url, release.caller(OTHER_NAMESPACE, "member"))
    assert member.invoke(FunctionName=arn, Payload=b"{}")["Payload"].read() == b'"foreign"'
    # without a word about it, the namespace is the caller's own
    assert member.invoke(FunctionName=foreign, Payload=b"{}")["Payload"].read() == b'"foreign"'


def test_a_right_that_is_granted_opens_the_door_soon(release, gateway_url, echo):
    """A denial is not remembered for long."""
    client = client_of(gateway_url, release.caller(NAMESPACE, "newcomer", may_invoke=False))
    assert refused(client, echo)[1] == "AccessDeniedException"
    release.caller(NAMESPACE, "newcomer")

    def admitted():
        try:
            return client.invoke(FunctionName=echo, Payload=b"{}")["StatusCode"] == 200
        except ClientError:
            return False

    assert eventually(admitted, 30)


def test_a_right_to_one_function_is_a_right_to_that_function(cluster, release, gateway_url, echo, driver):
    """resourceNames of a Role."""
    other = driver.function(ECHO)
    client = client_of(gateway_url, release.caller(NAMESPACE, "narrow", may_invoke=False))
    common = ["-n", NAMESPACE]
    cluster.run_kubectl("delete", "role,rolebinding", "narrow", *common, "--ignore-not-found")
    cluster.run_kubectl(
        "create",
        "role",
        "narrow",
        *common,
        "--verb=invoke",
        "--resource=functions.lambent.dev",
        f"--resource-name={echo}",
    )
    cluster.run_kubectl(
        "create", "rolebinding", "narrow", *common, "--role=narrow", f"--serviceaccount={NAMESPACE}:narrow"
    )
    assert client.invoke(FunctionName=echo, Payload=b"{}")["StatusCode"] == 200
    assert refused(client, other)[1] == "AccessDeniedException"


def test_a_dry_run_is_checked_too(release, gateway_url, lambda_client, echo):
    """It exists to find out whether one may."""
    assert lambda_client.invoke(FunctionName=echo, InvocationType="DryRun")["StatusCode"] == 204
    stranger = client_of(gateway_url, release.caller(NAMESPACE, "stranger", may_invoke=False))
    assert refused(stranger, echo, InvocationType="DryRun")[1] == "AccessDeniedException"

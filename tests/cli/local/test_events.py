"""Sample events: whole, consistent in themselves, and what AWS's own Powertools take for the real thing."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from datetime import datetime

import pytest
from aws_lambda_powertools.utilities import data_classes
from aws_lambda_powertools.utilities.data_classes import (
    api_gateway_authorizer_event,
    appsync_authorizer_event,
    cognito_user_pool_event,
    rabbit_mq_event,
)
from aws_lambda_powertools.utilities.data_classes.active_mq_event import ActiveMQEvent
from aws_lambda_powertools.utilities.parser import models

from lambent.cli.local import generating, templates

ALL = [(source, kind) for source in generating.sources() for kind in generating.types(source)]
NAMES = [f"{source} {kind}" for source, kind in ALL]


def event(name, **given):
    """The sample with these parameters (`_` for `-`)."""
    source, kind = name.split()
    return generating.event_of(source, kind, {key.replace("_", "-"): value for key, value in given.items()})


def texts(value):
    """Every string, keys as well, and what JSON inside of strings holds."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("name", NAMES)
def test_every_event_is_json_without_a_placeholder(name):
    """Also in keys and in JSON inside of strings."""
    sample = event(name)
    assert json.loads(json.dumps(sample)) == sample
    assert not [text for text in texts(sample) if "${" in text or re.search(r'"?\$(json|gzip|merge)"?', text)]


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_explained_and_changes_the_event(name):
    """None is offered that does nothing; none is used that is not offered."""
    source, kind = name.split()
    offered = generating.parameters(source, kind)
    template = [generating.document(source, kind)["event"], [default for default, _ in offered.values()]]
    assert set(templates.parameters_of(template)) == set(offered)
    for parameter, (default, about) in offered.items():
        assert about.endswith("."), parameter
        another = {"time": "2027-02-03T04:05:06Z", "account": "210987654321", "region": "eu-west-3"}.get(parameter)
        if another is None:
            another = (
                '{"other": "value"}' if default.startswith("{") else "7.25" if default == "21.5" else "other-value"
            )
        assert event(name, **{parameter: another}) != event(name), parameter


@pytest.mark.parametrize("name", NAMES)
def test_region_and_account_are_the_same_wherever_they_stand(name):
    """No ARN, host or field keeps the default."""
    if name.startswith("s3 object-lambda"):
        sample = event(name, region="eu-west-3", account="210987654321")
        assert "210987654321" in sample["getObjectContext"]["inputS3Url"]
    found = json.dumps(event(name, region="eu-west-3", account="210987654321"))
    assert "us-east-1" not in found
    assert "123456789012" not in found
    if '"arn:aws:' in found:
        for region, account in re.findall(r"arn:aws:[a-z0-9-]+:([a-z0-9-]*):([0-9]*):", found):
            assert region in ("eu-west-3", "")
            assert account in ("210987654321", "")


JUDGED_BY_MODELS = {
    "alb request": models.AlbModel,
    "apigateway http-api": models.APIGatewayProxyEventV2Model,
    "apigateway rest-api": models.APIGatewayProxyEventModel,
    "apigateway websocket-connect": models.APIGatewayWebSocketConnectEventModel,
    "apigateway websocket-disconnect": models.APIGatewayWebSocketDisconnectEventModel,
    "apigateway websocket-message": models.APIGatewayWebSocketMessageEventModel,
    "appsync resolver": models.AppSyncResolverEventModel,
    "cloudformation create": models.CloudFormationCustomResourceCreateModel,
    "cloudformation delete": models.CloudFormationCustomResourceDeleteModel,
    "cloudformation update": models.CloudFormationCustomResourceUpdateModel,
    "cloudwatch logs": models.CloudWatchLogsModel,
    "cognito create-auth-challenge": models.CognitoCreateAuthChallengeTriggerModel,
    "cognito custom-message": models.CognitoCustomMessageTriggerModel,
    "cognito define-auth-challenge": models.CognitoDefineAuthChallengeTriggerModel,
    "cognito post-authentication": models.CognitoPostAuthenticationTriggerModel,
    "cognito post-confirmation": models.CognitoPostConfirmationTriggerModel,
    "cognito pre-authentication": models.CognitoPreAuthenticationTriggerModel,
    "cognito pre-signup": models.CognitoPreSignupTriggerModel,
    "cognito user-migration": models.CognitoMigrateUserTriggerModel,
    "dynamodb stream": models.DynamoDBStreamModel,
    "ec2 instance-state-change": models.EventBridgeModel,
    "eventbridge event": models.EventBridgeModel,
    "eventbridge scheduled": models.EventBridgeModel,
    "eventbridge scheduler": models.EventBridgeModel,
    "firehose transform": models.KinesisFirehoseModel,
    "firehose transform-kinesis": models.KinesisFirehoseModel,
    "function-url request": models.LambdaFunctionUrlModel,
    "kafka msk": models.KafkaMskEventModel,
    "kafka self-managed": models.KafkaSelfManagedEventModel,
    "kinesis records": models.KinesisDataStreamModel,
    "rds event-notification": models.SnsModel,
    "rds instance-event": models.EventBridgeModel,
    "s3 batch": models.S3BatchOperationModel,
    "s3 batch-v2": models.S3BatchOperationModel,
    "s3 copy": models.S3Model,
    "s3 delete": models.S3Model,
    "s3 eventbridge": models.S3EventNotificationEventBridgeModel,
    "s3 multipart-upload": models.S3Model,
    "s3 object-lambda": models.S3ObjectLambdaEvent,
    "s3 post": models.S3Model,
    "s3 put": models.S3Model,
    "ses receive": models.SesModel,
    "sns notification": models.SnsModel,
    "sqs fifo": models.SqsModel,
    "sqs receive-message": models.SqsModel,
    "stepfunctions status-change": models.EventBridgeModel,
}


@pytest.mark.parametrize(("name", "model"), JUDGED_BY_MODELS.items(), ids=JUDGED_BY_MODELS)
def test_powertools_parse_it(name, model):
    """Their models refuse what has another shape."""
    model.model_validate(event(name))


JUDGED_BY_READING = {
    "alb request-multi-value": (data_classes.ALBEvent, "resolved_headers_field"),
    "apigateway http-authorizer": (api_gateway_authorizer_event.APIGatewayAuthorizerEventV2, "parsed_arn"),
    "apigateway request-authorizer": (api_gateway_authorizer_event.APIGatewayAuthorizerRequestEvent, "parsed_arn"),
    "apigateway token-authorizer": (api_gateway_authorizer_event.APIGatewayAuthorizerTokenEvent, "parsed_arn"),
    "appsync authorizer": (appsync_authorizer_event.AppSyncAuthorizerEvent, "authorization_token"),
    "cloudwatch alarm": (data_classes.CloudWatchAlarmEvent, "alarm_data"),
    "codedeploy lifecycle-hook": (data_classes.CodeDeployLifecycleHookEvent, "deployment_id"),
    "codepipeline job": (data_classes.CodePipelineJobEvent, "input_object_key"),
    "cognito pre-token-generation": (cognito_user_pool_event.PreTokenGenerationTriggerEvent, "request"),
    "cognito pre-token-generation-v2": (cognito_user_pool_event.PreTokenGenerationV2TriggerEvent, "request"),
    # The model wants a boolean where Cognito sends null for the function to fill in.
    "cognito verify-auth-challenge": (cognito_user_pool_event.VerifyAuthChallengeResponseTriggerEvent, "request"),
    "config item-change": (data_classes.AWSConfigRuleEvent, "invoking_event"),
    "config oversized-item-change": (data_classes.AWSConfigRuleEvent, "invoking_event"),
    "config scheduled": (data_classes.AWSConfigRuleEvent, "invoking_event"),
    "connect contact-flow": (data_classes.ConnectContactFlowEvent, "contact_data"),
    "mq activemq": (ActiveMQEvent, "message"),
    "mq rabbitmq": (rabbit_mq_event.RabbitMQEvent, "rmq_messages_by_queue"),
    "secretsmanager rotation": (data_classes.SecretsManagerEvent, "secret_id"),
    # The model wants one value a header, the service's documentation shows lists.
    "vpc-lattice request": (data_classes.VPCLatticeEventV2, "resolved_query_string_parameters"),
}


@pytest.mark.parametrize(("name", "reader"), JUDGED_BY_READING.items(), ids=JUDGED_BY_READING)
def test_powertools_read_it(name, reader):
    """Where they have no model they have a reader of its fields."""
    kind, field = reader
    assert getattr(kind(event(name)), field) not in (None, "", {}, [])


def test_times_agree():
    """Whatever form a service writes them in, and a second later is a second later."""
    moment = datetime.fromisoformat("2026-03-04T05:06:07.089+00:00")
    given = {"time": "2026-03-04T05:06:07.089Z"}
    http = event("apigateway http-api", **given)["requestContext"]
    assert (http["timeEpoch"], http["time"]) == (int(moment.timestamp() * 1000), "04/Mar/2026:05:06:07 +0000")
    sqs = event("sqs receive-message", **given)["Records"][0]["attributes"]
    assert int(sqs["ApproximateFirstReceiveTimestamp"]) - int(sqs["SentTimestamp"]) == 1000
    assert event("s3 put", **given)["Records"][0]["eventTime"] == "2026-03-04T05:06:07.089Z"
    assert event("eventbridge scheduled", **given)["time"] == "2026-03-04T05:06:07Z"
    window = event("kinesis tumbling-window", **given)["window"]
    assert window == {"start": "2026-03-04T05:06:07Z", "end": "2026-03-04T05:08:07Z"}


def test_what_is_derived_from_a_value_follows_it():
    """Digests, sizes, base64, encoded keys, JSON in JSON, compressed logs."""
    record = event("s3 put", content="söme", key="a b/c+d.txt")["Records"][0]["s3"]["object"]
    digest = hashlib.md5("söme".encode()).hexdigest()
    assert (record["key"], record["size"], record["eTag"]) == ("a+b/c%2Bd.txt", 5, digest)
    message = event("sqs receive-message", body="söme")["Records"][0]
    assert (message["body"], message["md5OfBody"]) == ("söme", digest)
    assert base64.b64decode(event("kinesis records", data="x")["Records"][0]["kinesis"]["data"]) == b"x"
    assert event("kafka msk", topic="t", header="hi")["records"]["t-0"][0]["headers"] == [{"source": [104, 105]}]
    assert event("mq rabbitmq", queue="q", virtual_host="v")["rmqMessagesByQueue"].keys() == {"q::v"}
    logs = json.loads(gzip.decompress(base64.b64decode(event("cloudwatch logs", message="m")["awslogs"]["data"])))
    assert logs["logEvents"][0]["message"] == "m"
    invoking = json.loads(event("config item-change", resource="i-7")["invokingEvent"])
    assert invoking["configurationItem"]["ARN"].endswith(":instance/i-7")
    document = event("documentdb change-stream", document='{"a": 1}')["events"][0]["event"]["fullDocument"]
    assert document == {"_id": {"$oid": "63eeb6e7d418cd98afb1c1d7"}, "a": 1}
    assert event("cognito pre-signup", region="eu-west-3")["userPoolId"] == "eu-west-3_EXAMPLE"


def test_a_query_string_becomes_what_each_service_makes_of_it():
    """The last value, all values, or null for none."""
    given = {"query": "a=1&a=2&b="}
    rest = event("apigateway rest-api", **given)
    assert rest["queryStringParameters"] == {"a": "2", "b": ""}
    assert rest["multiValueQueryStringParameters"] == {"a": ["1", "2"], "b": [""]}
    assert event("apigateway rest-api", query="")["queryStringParameters"] is None


def test_a_value_that_looks_like_a_placeholder_stays_as_it_was_given():
    """Only documents are templates."""
    assert event("sqs receive-message", body="${account}")["Records"][0]["body"] == "${account}"


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("a", 1, {"a": 1, "list": [{"b": 2}]}),
        ("list[0].b", 3, {"list": [{"b": 3}]}),
        ("list.0.c.d", "x", {"list": [{"b": 2, "c": {"d": "x"}}]}),
        ("list", None, {"list": None}),
    ],
)
def test_a_path_names_what_is_set(path, value, expected):
    """Objects on the way are made."""
    sample = {"list": [{"b": 2}]}
    templates.assign(sample, path, value)
    assert sample == expected


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ("", "the path is empty"),
        ("list[1].b", "list.1: the list has 1 items"),
        ("list.x", "list.x: the list has 1 items"),
        ("list[0].b.c.d", None),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(path, refusal):
    """Behind the end of a list; a plain value on the way gives way to an object."""
    sample = {"list": [{"b": 2}]}
    if refusal is None:
        templates.assign(sample, path, 1)
        assert sample == {"list": [{"b": {"c": {"d": 1}}}]}
        return
    with pytest.raises(ValueError, match=re.escape(refusal)):
        templates.assign(sample, path, 1)

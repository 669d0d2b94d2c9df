"""`lambent invoke`: what is sent, what is printed, how it ends."""

from __future__ import annotations

import base64
import json

import pytest
from tests.cli.fake_cluster import Answer

from lambent.cli.outcomes import ExitCode
from lambent.model import errors

ERROR = {
    "errorMessage": "no such key",
    "errorType": "KeyError",
    "stackTrace": ['  File "index.py", line 3\n'],
    "requestId": "r",
}


@pytest.fixture(autouse=True)
def installed(cluster, kubeconfig):
    cluster.release()


def function_error(cluster, body=json.dumps(ERROR).encode()):
    headers = ((b"x-amzn-RequestId", b"r-9"), (b"X-Amz-Function-Error", b"Unhandled"))
    cluster.answer_invocation = lambda asked: Answer(body, headers=headers)


@pytest.mark.parametrize(
    ("arguments", "stdin", "sent"),
    [
        pytest.param(('{"a": 1}',), None, b'{"a": 1}', id="as an argument"),
        pytest.param((), None, b"", id="not at all: the gateway makes it {}"),
        pytest.param(("--file", "{file}"), None, b'{"from": "file"}', id="from a file"),
        pytest.param(("-f", "-"), b"[1]", b"[1]", id="from standard input by -f -"),
        pytest.param(("-",), b"[2]", b"[2]", id="from standard input by -"),
        pytest.param((), b"[3]", b"[3]", id="from standard input when something is piped in"),
        pytest.param(("{}",), b"[4]", b"{}", id="as an argument, whatever is piped in"),
        pytest.param(('"ü"',), None, '"ü"'.encode(), id="in UTF-8"),
    ],
)
def test_the_payload_is_sent_as_given(cluster, cli, tmp_path, arguments, stdin, sent):
    """By argument, file or standard input."""
    (tmp_path / "event.json").write_bytes(b'{"from": "file"}')
    given = [word.replace("{file}", str(tmp_path / "event.json")) if word == "{file}" else word for word in arguments]
    assert cli("invoke", "hello", *given, stdin=stdin).code == 0
    assert cluster.invocations()[0].body == sent


def test_the_response_is_printed_byte_for_byte(cluster, cli):
    """Also what is no text, and without a newline, because no terminal is there."""
    body = bytes(range(256)) * 1000
    cluster.answer_invocation = lambda asked: Answer(body)
    done = cli("invoke", "hello")
    assert (done.code, done.raw, done.err) == (0, body, "")


def test_a_failed_function_is_exit_code_1_with_its_story_on_standard_error(cluster, cli):
    """Nothing is on standard output: what is redirected to a file is no half result."""
    function_error(cluster)
    done = cli("invoke", "hello")
    assert (done.code, done.out) == (ExitCode.FUNCTION_FAILED, "")
    assert done.err.splitlines() == [
        "error: the function failed: KeyError: no such key",
        '  File "index.py", line 3',
        "request id: r-9",
    ]


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (
            b'{"errorMessage": "Task timed out after 3.00 seconds"}',
            "error: the function failed: Task timed out after 3.00 seconds",
        ),
        (
            b'{"errorType": "Error", "errorMessage": "x", "trace": ["Error: x", "at y"]}',
            "error: the function failed: Error: x",
        ),
        (b"not json", "error: the function failed: not json"),
        (b"{}", "error: the function failed: it gave no reason"),
        (b'"text"', 'error: the function failed: "text"'),
    ],
)
def test_any_shape_of_error_is_told(cluster, cli, body, line):
    """Python's, Node.js', the platform's own, and what is none."""
    function_error(cluster, body)
    done = cli("invoke", "hello")
    assert done.code == 1
    assert done.err.splitlines()[0] == line


@pytest.mark.parametrize(
    ("arguments", "err"),
    [
        (("hello:live",), "executed version: 7\n"),
        (("hello", "--qualifier", "live"), "executed version: 7\n"),
        (("hello:7",), ""),
        (("hello",), ""),
        (("hello:live", "-o", "json"), ""),
    ],
)
def test_which_version_an_alias_came_to_is_said_on_standard_error(cluster, cli, arguments, err):
    """Not where it is what was asked for, nor where the output has it."""
    cluster.answer_invocation = lambda asked: Answer(b"1", headers=((b"X-Amz-Executed-Version", b"7"),))
    done = cli("invoke", *arguments)
    assert (done.code, done.err) == (0, err)
    asked = cluster.invocations()[0]
    given = asked.query.get("Qualifier") or asked.path.split("/")[-2].partition(":")[2]
    assert given == ("live" if "live" in " ".join(arguments) else "7" if "hello:7" in arguments else "")


def test_output_json_says_everything(cluster, cli):
    """Status, version, request id, error, payload, log."""
    headers = (
        (b"x-amzn-RequestId", b"r-1"),
        (b"X-Amz-Executed-Version", b"7"),
        (b"X-Amz-Log-Result", base64.b64encode(b"START\nhi\rthere\nEND\n")),
    )
    cluster.answer_invocation = lambda asked: Answer(b'{"n": 1}', headers=headers)
    done = cli("invoke", "hello", "-o", "json")
    assert json.loads(done.out) == {
        "statusCode": 200,
        "executedVersion": "7",
        "requestId": "r-1",
        "payload": {"n": 1},
        "log": "START\nhi\nthere\nEND\n",
    }
    assert cluster.invocations()[0].headers["x-amz-log-type"] == "Tail"


def test_output_json_of_a_failed_function_keeps_its_error_and_exit_code(cluster, cli):
    """The whole error object is the payload."""
    function_error(cluster)
    done = cli("invoke", "hello", "--output", "yaml")
    assert done.code == 1
    assert "functionError: Unhandled" in done.out
    assert "errorType: KeyError" in done.out


def test_the_log_tail_is_decoded_onto_standard_error(cluster, cli):
    """And the response stays alone on standard output."""
    headers = ((b"x-amzn-RequestId", b"r"), (b"X-Amz-Log-Result", base64.b64encode(b"START RequestId: r\nREPORT\n")))
    cluster.answer_invocation = lambda asked: Answer(b"1", headers=headers)
    done = cli("invoke", "hello", "--log-tail")
    assert (done.out, done.err) == ("1", "START RequestId: r\nREPORT\n")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidRequestContent("Could not parse"), ExitCode.USAGE),
        (errors.ResourceNotFound("Function not found: arn"), ExitCode.NOT_FOUND),
        (errors.ResourceConflict("state: Pending"), ExitCode.NOT_READY),
        (errors.RequestEntityTooLarge("too large"), ExitCode.USAGE),
        (errors.TooManyRequests(), ExitCode.THROTTLED),
        (errors.ServiceFailed("broken"), ExitCode.SERVICE_FAILED),
    ],
)
def test_each_refusal_has_its_exit_code_and_lambdas_words(cluster, cli, error, code):
    """One line: Lambda's error code and message."""
    cluster.answer_invocation = lambda asked: Answer.error(error)
    done = cli("invoke", "hello")
    assert (done.code, done.out) == (code, "")
    assert done.err == f"error: {error.code}: {error.message}\n"


def test_what_is_asked_for_is_what_is_sent(cluster, cli):
    """Qualifier, kind, context, namespace; the function's name in the path."""
    arguments = ["--qualifier", "$LATEST", "--invocation-type", "dryrun", "--client-context", '{"a": "ü"}']
    cluster.answer_invocation = lambda asked: Answer(b"", status=204)
    done = cli("invoke", "hello", *arguments, "-n", "shop")
    [asked] = cluster.invocations()
    assert (done.code, done.out) == (0, "")
    assert asked.path == (
        "/api/v1/namespaces/lambent-system/services/lambent-gateway:http/proxy/2015-03-31/functions/hello/invocations"
    )
    assert asked.query == {"Qualifier": "$LATEST"}
    assert asked.headers["x-amz-invocation-type"] == "DryRun"
    assert asked.headers["x-lambent-namespace"] == "shop"
    assert json.loads(base64.b64decode(asked.headers["x-amz-client-context"])) == {"a": "ü"}


@pytest.mark.parametrize(
    ("arguments", "name", "namespace"),
    [
        (("hello",), "hello", "default"),
        (("hello", "-n", "shop"), "hello", "shop"),
        (("shop/hello",), "hello", "shop"),
        (("shop/hello", "-n", "shop"), "hello", "shop"),
        (("hello:prod",), "hello:prod", "default"),
        (("arn:aws:lambda:us-east-1:123456789012:function:hello",), "arn:aws:lambda:us-east-1:123456789012:function:hello", None),
        (("123456789012:function:hello:1",), "123456789012:function:hello:1", None),
    ],
)  # fmt: skip
def test_a_function_is_named_in_any_way_that_lambda_or_kubernetes_has(cluster, cli, arguments, name, namespace):
    """An ARN says its namespace itself."""
    assert cli("invoke", *arguments).code == 0
    [asked] = cluster.invocations()
    assert asked.path.split("/functions/")[1] == f"{name}/invocations"
    assert asked.headers.get("x-lambent-namespace") == namespace


def test_the_contexts_namespace_is_the_current_one(cluster, cli, kubeconfig):
    """As for kubectl."""
    kubeconfig(namespace="mine")
    cli("invoke", "hello")
    assert cluster.invocations()[0].headers["x-lambent-namespace"] == "mine"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("hello", "{}", "-f", "x"),
        ("hello", "-f", "/does/not/exist"),
        ("hello", "--client-context", "{"),
        ("hello", "--client-context", "[]"),
        ("hello", "--invocation-type", "Event"),
        ("hello", "--timeout", "soon"),
        ("hello", "-o", "wide"),
        ("hello/", "{}"),
        ("a/b/c",),
        ("shop/hello", "-n", "other"),
        ("hello", "--nonsense"),
        ("hello", "--endpoint-url", "lambda.example"),
    ],
)
def test_wrong_arguments_are_exit_code_2_and_reach_nobody(cluster, cli, arguments):
    """One line says what is wrong; no traceback."""
    done = cli("invoke", *arguments)
    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err
    assert not cluster.invocations()


class TestWhoWeAre:
    """The identity that the gateway is shown."""

    def shown(self, cluster):
        return cluster.invocations()[0].headers.get("x-amz-security-token")

    def test_the_kubeconfigs_own_token_is_shown_and_authorization_is_the_api_servers(self, cluster, cli):
        """Two headers, because the API server keeps Authorization."""
        cli("invoke", "hello")
        assert self.shown(cluster) == "own-token"
        assert cluster.invocations()[0].headers["authorization"] == "Bearer own-token"

    def test_a_given_token_wins(self, cluster, cli, monkeypatch):
        """By flag, or by its variable."""
        cli("invoke", "hello", "--token", "given")
        assert self.shown(cluster) == "given"
        monkeypatch.setenv("LAMBENT_TOKEN", "by-variable")
        cli("invoke", "hello")
        assert cluster.invocations()[1].headers["x-amz-security-token"] == "by-variable"

    @pytest.mark.parametrize(
        ("arguments", "account"),
        [
            (("-n", "shop"), "/api/v1/namespaces/shop/serviceaccounts/default/token"),
            (("-n", "shop", "--service-account", "caller"), "/api/v1/namespaces/shop/serviceaccounts/caller/token"),
            (("--service-account", "ops/caller"), "/api/v1/namespaces/ops/serviceaccounts/caller/token"),
        ],
    )
    def test_without_a_token_of_its_own_a_short_lived_one_is_asked_for(
        self, cluster, cli, kubeconfig, arguments, account
    ):
        """Client certificates cannot be passed on."""
        kubeconfig(user={})
        cli("invoke", "hello", *arguments, "--audience", "lambda")
        [asked] = [each for each in cluster.requests if each.path.endswith("/token")]
        assert asked.path == account
        assert asked.json["spec"] == {"expirationSeconds": 600, "audiences": ["lambda"]}
        assert self.shown(cluster) == f"token-of-{account.split('/')[-2]}"

    def test_the_kubeconfigs_own_token_is_not_shown_for_somebody_it_impersonates(self, cluster, cli, kubeconfig):
        """It would be the wrong name."""
        kubeconfig(user={"token": "own-token", "as": "somebody"})
        cli("invoke", "hello")
        assert self.shown(cluster) == "token-of-default"

    def test_the_kubeconfigs_own_token_goes_over_nothing_that_others_can_read(self, cluster, cli, monkeypatch):
        """Plain HTTP to another machine gets a short-lived token of a service account."""
        from lambent.cli.connections import Connections

        monkeypatch.setattr(Connections, "is_private", property(lambda self: self.url.startswith("https")))
        cli("invoke", "hello", "--endpoint-url", cluster.url)
        assert self.shown(cluster) == "token-of-default"

    @pytest.mark.parametrize(
        ("url", "private"),
        [("https://a", True), ("http://localhost:1", True), ("http://127.0.0.1", True), ("http://a", False)],
    )
    def test_private_is_tls_or_this_machine(self, url, private):
        """The rule behind it."""
        from lambent.cli.connections import Connections, Peer

        assert Connections(Peer(url)).is_private is private

    def test_who_may_not_get_a_token_is_still_answered_when_the_gateway_asks_for_none(self, cluster, cli, kubeconfig):
        """Authentication may be off."""
        kubeconfig(user={})
        cluster.refuse("POST", "/token$", 403, message="cannot create serviceaccounts/token")
        assert cli("invoke", "hello").code == 0
        assert self.shown(cluster) is None

    def test_a_named_service_account_without_a_token_is_a_failure(self, cluster, cli):
        """It was asked for by name."""
        cluster.refuse("POST", "/token$", 404, "NotFound", 'serviceaccounts "caller" not found')
        done = cli("invoke", "hello", "--service-account", "caller")
        assert (done.code, done.err) == (ExitCode.NOT_FOUND, 'error: serviceaccounts "caller" not found\n')


class TestDenied:
    """What a person is told who may not."""

    @pytest.fixture(autouse=True)
    def denied(self, cluster):
        headers = ((b"x-amzn-ErrorType", b"AccessDeniedException"),)
        body = b'{"Message": "User is not authorized to invoke"}'
        cluster.answer_invocation = lambda asked: Answer(body, 403, headers)

    def test_the_binding_that_would_help_is_printed(self, cluster, cli, kubeconfig):
        """With the release's own role, found by its label, and the service account that asked."""
        kubeconfig(user={})
        done = cli("invoke", "shop/hello")
        assert done.code == ExitCode.DENIED
        assert done.err.splitlines() == [
            "error: AccessDeniedException: User is not authorized to invoke",
            "to allow it: kubectl create rolebinding lambent-invoker-default --namespace shop "
            "--clusterrole=lambent-lambent-system-invoker --serviceaccount=shop:default",
        ]

    def test_of_two_releases_with_one_name_it_is_the_role_of_the_one_that_refused(self, cluster, cli):
        """Roles of the cluster have the release's namespace in their names."""
        cluster.release("lambent", "another-system")
        done = cli("invoke", "hello", "--system-namespace", "lambent-system")
        assert "--clusterrole=lambent-lambent-system-invoker" in done.err

    def test_a_persons_own_name_is_asked_of_the_api_server(self, cluster, cli):
        """SelfSubjectReview."""
        done = cli("invoke", "shop/hello")
        assert "--user=jane" in done.err

    def test_a_role_that_may_not_be_seen_is_described(self, cluster, cli):
        """Most people may not list ClusterRoles."""
        cluster.refuse("GET", "clusterroles", 403)
        assert "<a ClusterRole with the verb 'invoke' on functions.lambent.dev>" in cli("invoke", "hello").err

    @pytest.mark.parametrize(
        ("error", "word"), [(errors.UnrecognizedToken(), "--audience"), (errors.ExpiredToken(), "new token")]
    )
    def test_a_token_that_is_not_taken_is_no_matter_of_rights(self, cluster, cli, error, word):
        """A binding would not help."""
        cluster.answer_invocation = lambda asked: Answer.error(error)
        done = cli("invoke", "hello")
        assert done.code == ExitCode.DENIED
        assert word in done.err
        assert "rolebinding" not in done.err

    def test_without_a_token_the_reason_is_told(self, cluster, cli, kubeconfig):
        """Otherwise nobody would know why."""
        kubeconfig(user={})
        cluster.refuse("POST", "/token$", 403, message="you cannot create tokens")
        assert "no token of the service account default/default: you cannot create tokens" in cli("invoke", "hello").err


class TestWayToTheGateway:
    """Direct, or through the API server."""

    def test_an_endpoint_needs_no_cluster(self, cluster, cli, monkeypatch, tmp_path):
        """No kubeconfig, no identity, no namespace: the gateway's defaults."""
        monkeypatch.setenv("KUBECONFIG", "")
        monkeypatch.setenv("HOME", str(tmp_path))
        done = cli("invoke", "hello", "[1]", "--endpoint-url", cluster.url + "/base/")
        [asked] = cluster.requests
        assert (done.code, done.out) == (0, "[1]")
        assert asked.path == "/base/2015-03-31/functions/hello/invocations"
        assert "x-lambent-namespace" not in asked.headers
        assert "x-amz-security-token" not in asked.headers

    def test_the_endpoint_may_come_from_the_environment(self, cluster, cli, monkeypatch):
        """LAMBENT_ENDPOINT_URL."""
        monkeypatch.setenv("LAMBENT_ENDPOINT_URL", cluster.url)
        cli("invoke", "hello")
        assert cluster.invocations()[0].path == "/2015-03-31/functions/hello/invocations"

    def test_the_api_servers_credentials_are_not_sent_to_an_endpoint(self, cluster, cli):
        """Authorization is between the API server and us."""
        cli("invoke", "hello", "--endpoint-url", cluster.url)
        assert "authorization" not in cluster.invocations()[0].headers

    def test_through_the_api_server_a_payload_goes_in_chunks(self, cluster, cli):
        """Go's proxy may cut an answer off that comes with the last byte of a body of known length."""
        cli("invoke", "hello", "[1]")
        cli("invoke", "hello", "[1]", "--endpoint-url", cluster.url)
        through, direct = cluster.invocations()
        assert (through.headers.get("transfer-encoding"), through.headers.get("content-length")) == ("chunked", None)
        assert (direct.headers.get("transfer-encoding"), direct.headers.get("content-length")) == (None, "3")

    def test_several_releases_are_listed(self, cluster, cli):
        """And the flags choose one."""
        cluster.release("second", "elsewhere")
        done = cli("invoke", "hello")
        assert done.code == ExitCode.USAGE
        assert "second in elsewhere, lambent in lambent-system" in done.err
        assert cli("invoke", "hello", "--system-namespace", "elsewhere").code == 0
        assert cli("invoke", "hello", "--release", "lambent").code == 0
        assert [asked.path.split("/")[4] for asked in cluster.invocations()] == ["elsewhere", "lambent-system"]

    def test_no_release_is_not_found(self, cluster, cli):
        """Said in one line, with what may help."""
        done = cli("invoke", "hello", "--system-namespace", "empty")
        assert done.code == ExitCode.NOT_FOUND
        assert done.err.startswith("error: no gateway of Lambent in the namespace empty\n")

    def test_who_may_not_look_for_the_gateway_is_told_what_to_say(self, cluster, cli):
        """Listing Services of all namespaces is not for everybody."""
        cluster.refuse("GET", "^/api/v1/services$", 403, message="cannot list services")
        done = cli("invoke", "hello")
        assert done.code == ExitCode.DENIED
        assert "--system-namespace" in done.err
        assert cli("invoke", "hello", "--system-namespace", "lambent-system").code == 0

    def test_who_may_not_go_through_the_api_server_is_told_which_right_is_missing(self, cluster, cli):
        """services/proxy."""
        cluster.refuse("POST", "/proxy/", 403, message='cannot create resource "services/proxy"')
        done = cli("invoke", "hello")
        assert done.code == ExitCode.DENIED
        assert "the right to 'create' services/proxy in the namespace lambent-system" in done.err

    def test_a_gateway_that_is_not_there_is_unreachable(self, cluster, cli):
        """In the API server's words."""
        cluster.refuse("POST", "/proxy/", 503, "ServiceUnavailable", "no endpoints available for service")
        done = cli("invoke", "hello")
        assert (done.code, done.err) == (ExitCode.UNREACHABLE, "error: no endpoints available for service\n")

    def test_a_body_that_the_api_server_will_not_take_leads_to_the_endpoint(self, cluster, cli):
        """Some clusters have proxies with limits before them."""
        cluster.refuse("POST", "/proxy/", 413, "RequestEntityTooLarge", "limit is 3145728")
        done = cli("invoke", "hello")
        assert (done.code, "--endpoint-url" in done.err) == (ExitCode.USAGE, True)

    def test_an_answer_that_breaks_off_is_a_failure(self, cluster, cli):
        """Half an answer is none."""
        cluster.answer_invocation = lambda asked: Answer(b"x" * 1000, cut=10)
        done = cli("invoke", "hello")
        assert done.code == ExitCode.UNREACHABLE
        assert "broke off" in done.err

    def test_nobody_at_home_is_unreachable(self, cli):
        """The server's address is in the message."""
        done = cli("invoke", "hello", "--endpoint-url", "http://127.0.0.1:9")
        assert (done.code, done.err) == (
            ExitCode.UNREACHABLE,
            "error: cannot reach http://127.0.0.1:9: Connection refused\n",
        )

    def test_silence_ends_at_the_timeout(self, cluster, cli):
        """Which says that the function may still run."""
        import threading

        release = threading.Event()
        cluster.answer_invocation = lambda asked: release.wait(20) and Answer(b"1")
        done = cli("invoke", "hello", "--timeout", "200ms")
        release.set()
        assert done.code == ExitCode.UNREACHABLE
        assert "gave no answer within 0.2 s" in done.err
        assert "the function may still be running" in done.err

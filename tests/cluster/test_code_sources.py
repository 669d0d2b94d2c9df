"""Code from outside, on a real cluster: web addresses, buckets, ConfigMaps, and what may not be reached.

The release has to allow the node's own address (value `codeSources.allowedNetworks`), where the servers of these tests
listen; every other address inside the cluster stays closed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from conftest import SYSTEM
from driving import eventually, zipped
from local.network import NODE_ADDRESS

SAY = "def handler(e, c): return {said!r}\n"


@pytest.fixture(scope="module", autouse=True)
def _on_the_node(cluster):
    if cluster.kind != "node":
        pytest.skip("the servers of these tests listen on the one-binary node's own address")


def package(said: str) -> tuple[bytes, str]:
    """An archive that says something, and its digest."""
    data = base64.b64decode(zipped({"index.py": SAY.format(said=said)}))
    return data, hashlib.sha256(data).hexdigest()


@dataclass
class Web:
    """A web server that pods reach."""

    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            if self.path in made.redirects:
                self.send_response(302)
                self.send_header("Location", made.redirects[self.path])
                self.end_headers()
                return
            content = made.files.get(self.path)
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((NODE_ADDRESS, 0), Handler)
    made.url = f"http://{NODE_ADDRESS}:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


def stalled(driver, name):
    return eventually(lambda: driver.condition(name, "Stalled"))


def not_ready(driver, name, reason):
    return eventually(lambda: (c := driver.condition(name, "Ready")).get("reason") == reason and c)


class TestAWebAddress:
    def test_is_where_code_comes_from(self, driver, web):
        """Byte for byte, by way of a redirect; and nothing is fetched again when only memory changes."""
        data, digest = package("from afar")
        web.files["/code.zip"], web.redirects["/start"] = data, "/code.zip"
        name = driver.function(code={"url": f"{web.url}/start", "sha256": digest})
        assert driver.invoke(name).json == "from afar"
        assert driver.get(name)["status"]["codeSha256"] == base64.b64encode(bytes.fromhex(digest)).decode()
        before = list(web.asked)
        driver.function(name=name, code={"url": f"{web.url}/start", "sha256": digest}, memorySize=1025)
        assert driver.invoke(name).json == "from afar"
        assert web.asked == before

    def test_with_another_digest_is_stalled_with_both(self, driver, web):
        """And the right one heals it."""
        data, digest = package("verified")
        web.files["/code.zip"] = data
        name = driver.apply(code={"url": f"{web.url}/code.zip", "sha256": "0" * 64})
        said = stalled(driver, name)
        assert said["reason"] == "InvalidCode"
        assert digest in said["message"]
        assert "0" * 64 in said["message"]
        assert not driver.pods(name)
        driver.function(name=name, code={"url": f"{web.url}/code.zip", "sha256": digest})
        assert driver.invoke(name).json == "verified"

    def test_that_has_nothing_yet_is_asked_again(self, driver, web):
        """Nobody has to touch the Function."""
        data, digest = package("late")
        name = driver.apply(code={"url": f"{web.url}/late.zip", "sha256": digest})
        assert "404 Not Found" in not_ready(driver, name, "CodeUnavailable")["message"]
        web.files["/late.zip"] = data
        driver.wait_ready(name, 90)
        assert driver.invoke(name).json == "late"


def inside(cluster) -> dict[str, str]:
    """Hosts that a tenant could not reach himself, or must not by our hands."""
    service = cluster.get("service", "lambent-codestore", "-n", SYSTEM)["spec"]
    pods = cluster.get("pods", "-n", SYSTEM, "-l", "app.kubernetes.io/component=codestore")["items"]
    port = service["ports"][0]["port"]
    return {
        "loopback": "http://127.0.0.1:9090",
        "loopback by name": "http://localhost:9090",
        "loopback in another notation": "http://0x7f.0.0.1:9090",
        "loopback in IPv6": "http://[::ffff:127.0.0.1]:9090",
        "metadata": "http://169.254.169.254",
        "a Service": f"http://{service['clusterIP']}:{port}",
        "a Service by its name": f"http://lambent-codestore.{SYSTEM}.svc:{port}",
        "the API server": "https://kubernetes.default.svc",
        "a pod": f"http://{pods[0]['status']['podIP']}:8082",
    }


def test_nothing_inside_the_cluster_is_fetched(driver, cluster, web):
    """Directly, by redirect, or as a bucket; each says by which rule, and none makes a pod."""
    hosts = inside(cluster)
    names = {}
    for number, (what, base) in enumerate(hosts.items()):
        web.redirects[f"/{number}"] = f"{base}/healthz"
        names[what] = driver.apply(code={"url": f"{base}/healthz", "sha256": "0" * 64})
        names[f"{what}, by redirect"] = driver.apply(code={"url": f"{web.url}/{number}", "sha256": "0" * 64})
        names[f"{what}, as a bucket"] = driver.apply(code={"s3Bucket": "code", "s3Key": "a.zip", "s3Endpoint": base})
    for what, name in names.items():
        said = stalled(driver, name)
        assert said["reason"] == "InvalidCode", what
        assert "may not be reached from here" in said["message"] or "leads to no address" in said["message"], what
        assert not driver.pods(name), what
    assert len(web.asked) == len(hosts)


@pytest.fixture(scope="module")
def buckets() -> Iterator[str]:
    """The endpoint of an S3 that pods reach; it believes nobody without a signature."""
    with socket.create_server((NODE_ADDRESS, 0)) as bound:
        port = bound.getsockname()[1]
    command = (sys.executable, "-m", "moto.server", "-H", NODE_ADDRESS, "-p", str(port))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://{NODE_ADDRESS}:{port}"

    def answers() -> bool:
        assert process.poll() is None, "the S3 server ended"
        try:
            urllib.request.urlopen(f"{url}/moto-api/", timeout=5).close()
        except OSError:
            return False
        return True

    try:
        eventually(answers)
        yield url
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def reader(buckets, driver, cluster):
    """A Secret with credentials that may read everything, and a client that may write; in a namespace of a tenant."""
    made = {"region_name": "us-east-1", "endpoint_url": buckets}
    setup = {"aws_access_key_id": "setup", "aws_secret_access_key": "setup"}
    _trust(buckets, "Infinity")
    iam = boto3.client("iam", **made, **setup)
    user, policy = f"u{secrets.token_hex(4)}", {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    iam.create_user(UserName=user)
    document = json.dumps({"Version": "2012-10-17", "Statement": [policy]})
    iam.put_user_policy(UserName=user, PolicyName="all", PolicyDocument=document)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    _trust(buckets, "0")
    values = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    secret = _put(cluster, driver.namespace, "Secret", stringData=values)
    client = boto3.client(
        "s3", **made, aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]
    )
    yield secret, client
    cluster.run_kubectl("delete", f"secret/{secret}", "-n", driver.namespace, "--ignore-not-found", "--wait=false")


def _trust(endpoint: str, count: str) -> None:
    request = urllib.request.Request(
        f"{endpoint}/moto-api/reset-auth", count.encode(), {"Content-Type": "text/plain"}, method="POST"
    )
    urllib.request.urlopen(request, timeout=30).close()


def _put(cluster, namespace, kind, name=None, **parts):
    name = name or f"c-{secrets.token_hex(4)}"
    body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, **parts}
    cluster.run_kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(body))
    return name


class TestABucket:
    def test_is_read_with_the_credentials_of_a_secret(self, driver, buckets, reader):
        """A newer upload changes nothing; a named version comes by its name."""
        secret, client = reader
        bucket = f"b-{secrets.token_hex(4)}"
        client.create_bucket(Bucket=bucket)
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        first = client.put_object(Bucket=bucket, Key="a/code.zip", Body=package("the first")[0])["VersionId"]
        code = {
            "s3Bucket": bucket,
            "s3Key": "a/code.zip",
            "s3Endpoint": buckets,
            "s3CredentialsSecretRef": {"name": secret},
        }
        name = driver.function(code=code)
        assert driver.invoke(name).json == "the first"
        client.put_object(Bucket=bucket, Key="a/code.zip", Body=package("the second")[0])
        driver.function(name=name, code=code, memorySize=1025)
        assert driver.invoke(name).json == "the first"
        assert driver.invoke(driver.function(code=code)).json == "the second"
        assert driver.invoke(driver.function(code=code | {"s3ObjectVersion": first})).json == "the first"

    def test_is_refused_to_whom_it_is_not_given(self, driver, cluster, buckets, reader):
        """Anonymous, wrong, missing credentials; corrected ones are taken at once, and no value is told."""
        secret, client = reader
        bucket = f"b-{secrets.token_hex(4)}"
        client.create_bucket(Bucket=bucket)
        client.put_object(Bucket=bucket, Key="code.zip", Body=package("given")[0])
        code = {"s3Bucket": bucket, "s3Key": "code.zip", "s3Endpoint": buckets}
        anonymous = driver.apply(code=code)
        wrong = _put(
            cluster,
            driver.namespace,
            "Secret",
            stringData={"AWS_ACCESS_KEY_ID": "canary-id", "AWS_SECRET_ACCESS_KEY": "canary-key"},
        )
        name = driver.apply(code=code | {"s3CredentialsSecretRef": {"name": wrong}})
        missing = driver.apply(code=code | {"s3CredentialsSecretRef": {"name": "no-such-secret"}})
        assert "S3 Error Code: AccessDenied" in not_ready(driver, anonymous, "CodeUnavailable")["message"]
        assert "S3 Error Code: InvalidAccessKeyId" in not_ready(driver, name, "CodeUnavailable")["message"]
        assert "no-such-secret" in not_ready(driver, missing, "ReferenceNotFound")["message"]
        assert "canary" not in json.dumps(driver.get(name)) + json.dumps(driver.events(name))
        right = cluster.get("secret", secret, "-n", driver.namespace)["data"]
        _put(cluster, driver.namespace, "Secret", wrong, data=right)
        driver.wait_ready(name, 90)
        assert driver.invoke(name).json == "given"
        cluster.run_kubectl("delete", f"secret/{wrong}", "-n", driver.namespace, "--wait=false")

    def test_without_the_object_is_said_in_lambdas_words(self, driver, buckets, reader):
        """And found when it comes."""
        secret, client = reader
        bucket = f"b-{secrets.token_hex(4)}"
        client.create_bucket(Bucket=bucket)
        code = {"s3Bucket": bucket, "s3Key": "x", "s3Endpoint": buckets, "s3CredentialsSecretRef": {"name": secret}}
        name = driver.apply(code=code)
        words = "S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist."
        assert f"Error occurred while GetObject. {words}" in not_ready(driver, name, "CodeUnavailable")["message"]
        client.put_object(Bucket=bucket, Key="x", Body=package("found")[0])
        driver.wait_ready(name, 90)
        assert driver.invoke(name).json == "found"


class TestAConfigMap:
    def test_is_code_and_its_change_brings_new_code(self, driver, cluster):
        """Every entry a file; new environments run the new ones."""
        files = {"index.py": "import words\ndef handler(e, c): return words.SAID\n", "words.py": "SAID = 'one'\n"}
        held = _put(cluster, driver.namespace, "ConfigMap", data=files)
        name = driver.function(code={"configMapRef": {"name": held}})
        assert driver.invoke(name).json == "one"
        _put(cluster, driver.namespace, "ConfigMap", held, data=files | {"words.py": "SAID = 'two'\n"})
        assert eventually(lambda: driver.invoke(name).json == "two")
        cluster.run_kubectl("delete", f"configmap/{held}", "-n", driver.namespace, "--wait=false")

    def test_that_is_missing_is_named_and_picked_up(self, driver, cluster):
        """A source in one entry of it, here."""
        held = f"c-{secrets.token_hex(4)}"
        name = driver.apply(code={"configMapRef": {"name": held, "key": "handler"}})
        assert held in not_ready(driver, name, "ReferenceNotFound")["message"]
        _put(cluster, driver.namespace, "ConfigMap", held, data={"handler": SAY.format(said="here")})
        driver.wait_ready(name, 60)
        assert driver.invoke(name).json == "here"
        cluster.run_kubectl("delete", f"configmap/{held}", "-n", driver.namespace, "--wait=false")

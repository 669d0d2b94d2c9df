"""kubeconfig files as kubectl reads them, and the credentials that they lead to."""

from __future__ import annotations

import base64
import json
import os
import stat
import sys

import pytest
import yaml

from lambent.cli import credentials, kubeconfigs
from lambent.cli.kubeconfigs import ClusterFacts, UserFacts, load
from lambent.cli.outcomes import CommandFailed, ExitCode


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """No kubeconfig but those of the test."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


def config(name="a", *, user=None, cluster=None, current=True, **context):
    return {
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}:6443", **(cluster or {})}}],
        "users": [{"name": name, "user": user or {}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, **context}}],
        **({"current-context": name} if current else {}),
    }


def write(path, body, *, as_json=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(body) if as_json else yaml.safe_dump(body))
    return str(path)


@pytest.mark.parametrize("as_json", [True, False])
def test_yaml_and_json_are_read(tmp_path, as_json):
    """The current context, its namespace, its server."""
    found = load(write(tmp_path / "k", config(namespace="mine"), as_json=as_json))
    assert (found.name, found.namespace, found.cluster.server) == ("a", "mine", "https://a:6443")


def test_several_files_are_one_and_the_first_word_counts(tmp_path, monkeypatch):
    """KUBECONFIG is a list; files that do not exist are no mistake then."""
    first = write(tmp_path / "1", config("a", user={"token": "first"}))
    second = write(
        tmp_path / "2",
        {**config("b"), "users": [{"name": "a", "user": {"token": "second"}}, {"name": "b", "user": {}}]},
    )
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join([first, str(tmp_path / "none"), second]))
    assert (load().name, load().user.token) == ("a", "first")
    assert load(context="b").cluster.server == "https://b:6443"
    assert kubeconfigs.context_names() == ["a", "b"]


def test_without_a_word_it_is_the_one_at_home(tmp_path):
    """`~/.kube/config`."""
    write(tmp_path / "home/.kube/config", config("home"))
    assert load().name == "home"


def test_files_that_it_names_are_beside_it(tmp_path):
    """Relative to the kubeconfig, not to where we are; data in it comes as base64."""
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki/ca.crt").write_bytes(b"authority")
    user = {
        "client-certificate-data": base64.b64encode(b"cert").decode(),
        "client-key": "pki/ca.crt",
        "tokenFile": "pki/ca.crt",
    }
    found = load(write(tmp_path / "k", config(cluster={"certificate-authority": "pki/ca.crt"}, user=user)))
    assert (found.cluster.authority, found.user.certificate, found.user.key) == (b"authority", b"cert", b"authority")
    assert credentials.obtain(found.user, found.cluster).token == "authority"


@pytest.mark.parametrize(
    ("body", "says", "code"),
    [
        pytest.param("a: [", "neither YAML nor JSON", ExitCode.USAGE, id="broken"),
        pytest.param("- 1", "not a Config", ExitCode.USAGE, id="a list"),
        pytest.param("{}", "names no current context", ExitCode.USAGE, id="empty"),
        pytest.param(json.dumps({**config(), "clusters": []}), "names a cluster that", ExitCode.USAGE, id="no cluster"),
        pytest.param(
            json.dumps({**config(), "current-context": "z"}),
            "has no context 'z' (contexts: a)",
            ExitCode.USAGE,
            id="no context",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path, body, says, code):
    """In one line, which quotes nothing of the file."""
    (tmp_path / "k").write_text(body)
    with pytest.raises(CommandFailed) as failed:
        load(str(tmp_path / "k"))
    assert says in str(failed.value)
    assert failed.value.code == code


def test_no_configuration_at_all_is_unreachable():
    """With the flags that would help."""
    with pytest.raises(CommandFailed) as failed:
        load()
    assert failed.value.code == ExitCode.UNREACHABLE
    assert "--endpoint-url" in failed.value.hint


def test_a_broken_file_does_not_spill_its_secrets(tmp_path):
    """YAML's own message would quote the line."""
    (tmp_path / "k").write_text("users: [{user: {token: s3cr3t-value}}\n  nonsense: : :")
    with pytest.raises(CommandFailed) as failed:
        load(str(tmp_path / "k"))
    assert "s3cr3t" not in str(failed.value)
    assert "s3cr3t" not in repr(UserFacts(token="s3cr3t", password="s3cr3t", key=b"s3cr3t"))


def test_in_a_pod_its_service_account_is_used(tmp_path, monkeypatch):
    """When there is no kubeconfig."""
    monkeypatch.setattr(kubeconfigs, "POD_ACCOUNT", tmp_path)
    for name, text in (("ca.crt", "ca"), ("namespace", "mine\n"), ("token", "pod-token\n")):
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    found = load()
    assert (found.cluster.server, found.namespace) == ("https://[fd00::1]:443", "mine")
    assert credentials.obtain(found.user, found.cluster).token == "pod-token"


class TestPlugins:
    """`user.exec`, as client-go speaks it."""

    def plugin(self, tmp_path, script, **more):
        program = tmp_path / "login"
        program.write_text(f"#!{sys.executable}\nimport json, os, sys\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        user = {
            "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "./login", "args": ["now"], **more}
        }
        found = load(write(tmp_path / "k", config(user=user)))
        return credentials.obtain(found.user, found.cluster)

    def test_a_plugin_gives_token_and_certificate(self, tmp_path):
        """It is told what it is asked for, and found beside the file."""
        script = (
            "info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
            "token = f\"{sys.argv[1]} {os.environ['WHO']} {info['kind']} {info['spec']['cluster']['server']}\"\n"
            "print(json.dumps({'status': {'token': token, 'clientCertificateData': 'cert', 'clientKeyData': 'key'}}))"
        )
        env = [{"name": "WHO", "value": "me"}]
        found = self.plugin(tmp_path, script, env=env, provideClusterInfo=True)
        assert found.token == "now me ExecCredential https://a:6443"
        assert (found.certificate, found.key) == (b"cert", b"key")

    @pytest.mark.parametrize(
        ("script", "says"),
        [
            ("sys.exit(3)", "it ended with 3"),
            ("print('hello')", "it printed no ExecCredential"),
            ("print('{}')", "it printed no ExecCredential"),
        ],
    )
    def test_a_plugin_that_fails_is_a_denial(self, tmp_path, script, says):
        """With its hint."""
        with pytest.raises(CommandFailed) as failed:
            self.plugin(tmp_path, script, installHint="log in with: x login")
        assert says in str(failed.value)
        assert failed.value.code == ExitCode.DENIED

    def test_a_plugin_that_is_not_installed_says_how_to_get_it(self):
        """The kubeconfig's own words."""
        plugin = kubeconfigs.Plugin("lambent-no-such-program", (), (), "v1", False, "install x")
        with pytest.raises(CommandFailed) as failed:
            credentials.obtain(UserFacts(plugin=plugin), ClusterFacts("https://a"))
        assert failed.value.hint == "install x"


def test_a_token_that_ran_out_is_asked_for_again(cluster, tmp_path, kubeconfig):
    """Logs are followed for hours, tokens live for minutes."""
    from lambent.cli.clusters import Cluster

    (tmp_path / "token").write_text("old")
    asked = Cluster(load(str(kubeconfig(user={"tokenFile": "token"}))))
    cluster.function("hello")
    cluster.good_token = "new"
    (tmp_path / "token").write_text("new")
    assert asked.get("/apis/lambent.dev/v1alpha1/namespaces/default/functions/hello")["metadata"]["name"] == "hello"
    assert [each.headers["authorization"] for each in cluster.requests] == ["Bearer old", "Bearer new"]

"""What the shell may complete, and the scripts that teach it."""

from __future__ import annotations

import subprocess

import pytest

from lambent.cli import entering

CANARIES = ["LambdaCanary10Percent10Minutes", "LambdaCanary10Percent15Minutes"]


@pytest.fixture
def completed(kubeconfig, monkeypatch, capfd):
    """The candidates for a command line, its last word incomplete, as bash would ask for them."""

    def complete(*words):
        monkeypatch.setenv("_LAMBENT_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", " ".join(["lambent", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        entering.run([], "lambent")
        out, err = capfd.readouterr()
        assert err == ""
        return [line.partition(",")[2] for line in out.splitlines() if line]

    return complete


@pytest.fixture(autouse=True)
def functions(cluster):
    hello = cluster.function("hello")
    cluster.published(hello, "2")
    cluster.published(hello, "10")
    cluster.alias(hello, "live")
    cluster.alias(hello, "dev", name="other")
    cluster.function("object", function_name="helpful")
    cluster.function("far", "elsewhere")
    cluster.add("/api/v1/namespaces/default")
    cluster.add("/api/v1/namespaces/elsewhere")


@pytest.mark.parametrize(
    ("words", "candidates"),
    [
        (("in",), ["invoke"]),
        (("invoke", "he"), ["hello", "helpful"]),
        (("invoke", ""), ["hello", "helpful"]),
        (("logs", "elsewhere/"), ["elsewhere/far"]),
        (("get", "hello", "he"), ["helpful"]),
        (("get", "-n", "elsewhere", ""), ["far"]),
        (("-n", "elsewhere", "get", ""), ["far"]),
        (("get", "-n", "el"), ["elsewhere"]),
        (("get", "--context", ""), ["here"]),
        (("get", "-o", "ya"), ["yaml"]),
        (("completion", "z"), ["zsh"]),
        (("versions", "he"), ["hello", "helpful"]),
        (("al",), ["alias"]),
        (("rollout", "pr"), ["promote"]),
        (("rollout", "status", "he"), ["hello", "helpful"]),
        (("rollout", "abort", "hello", ""), ["dev", "live"]),
        (("rollout", "abort", "hello", "live", ""), []),
        (("alias", "set", "hello", "l"), ["live"]),
        (("alias", "set", "hello", "live", ""), ["10", "2", "$LATEST", "latest-published"]),
        (("alias", "set", "hello", "live", "2", "--weight", "1"), ["10="]),
        (("alias", "set", "--strategy", "LambdaCanary10Percent1"), CANARIES),
        (("invoke", "hello", "--qualifier", ""), ["dev", "live", "10", "2", "$LATEST"]),
        (("logs", "hello", "--qualifier", "li"), ["live"]),
        (("rollout", "abort", "nope", ""), []),
    ],
)
def test_commands_functions_namespaces_and_contexts_are_completed(completed, words, candidates):
    """Functions of the namespace that was chosen, by Lambda's name."""
    assert completed(*words) == candidates


def test_a_cluster_that_is_silent_completes_nothing(cluster, completed):
    """Whatever goes wrong, the shell gets no message."""
    cluster.refuse("GET", ".", 403)
    assert completed("invoke", "") == []
    cluster.stop()
    assert completed("invoke", "") == []


@pytest.mark.parametrize(
    ("shell", "word"),
    [("bash", "complete -o nosort -F"), ("zsh", "#compdef lambent"), ("fish", "complete --no-files --command lambent")],
)
def test_each_shell_gets_its_script(cli, shell, word):
    """On standard output."""
    done = cli("completion", shell)
    assert (done.code, done.err) == (0, "")
    assert word in done.out


def test_bash_can_read_its_script(cli, tmp_path):
    """As far as a syntax check goes."""
    (tmp_path / "script").write_text(cli("completion", "bash").out)
    subprocess.run(["bash", "-n", str(tmp_path / "script")], check=True)


def test_kubectl_completes_its_plugin(cli):
    """Candidates, then a directive: no file names."""
    assert cli("completion", "kubectl", "--", "invoke", "he").out == "hello\nhelpful\n:4\n"
    assert cli("completion", "kubectl", "--", "invoke", "--fi").out.startswith("--file\t")
    script = cli("completion", "kubectl").out
    assert script.startswith("#!/bin/sh\n")
    assert 'completion kubectl -- "$@"' in script

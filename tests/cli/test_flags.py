"""kubectl's flags, before and after the command; durations; the exit codes where people read of them."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from lambent.cli import commands, flags, groups
from lambent.cli.outcomes import MEANINGS, ExitCode

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["-n", "x", "get", "a"], ["get", "-n", "x", "a"]),
        (["--namespace=x", "get"], ["get", "--namespace=x"]),
        (["-nx", "-A", "get", "-o", "json"], ["get", "-nx", "-A", "-o", "json"]),
        (["-o", "json", "--context", "c", "get"], ["get", "-o", "json", "--context", "c"]),
        (["get", "-n", "x"], ["get", "-n", "x"]),
        (["--help"], ["--help"]),
        (["-n", "x", "--help"], ["-n", "x", "--help"]),
        ([], []),
    ],
)
def test_flags_before_the_command_are_the_commands(given, meant):
    """As kubectl takes them."""
    assert groups.behind_command(given) == meant


def test_every_flag_with_a_value_may_stand_before_the_command():
    """Kubectl's, and those that say where the gateway is: the list knows them all."""
    shared = {
        "namespace",
        "context",
        "kubeconfig",
        "form",
        "selector",
        "request_timeout",
        "system_namespace",
        "release",
    }
    shared |= {"endpoint_url", "token", "service_account", "audience"}
    named = {
        name
        for command in commands.COMMANDS
        for option in commands.lambent.get_command(None, command).params
        if isinstance(option, click.Option) and option.name in shared
        for name in option.opts
    }
    assert named == set(groups.VALUED)


def test_both_places_give_the_same(cluster, cli):
    """Tried through to the end."""
    cluster.function("hello", "shop")
    assert (
        cli("-n", "shop", "-o", "name", "get").out
        == cli("get", "-n", "shop", "-o", "name").out
        == "function.lambent.dev/hello\n"
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5", 1.5), ("30s", 30), ("250ms", 0.25), ("5m", 300), ("1h30m", 5400), ("2d", 172800)],
)
def test_durations_are_written_as_kubernetes_writes_them(text, seconds):
    """And as plain seconds."""
    assert flags.Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "s", "5 m", "5x", "-5s", "5m3", "soon"])
def test_anything_else_is_no_duration(text):
    """A usage error."""
    with pytest.raises(click.BadParameter):
        flags.Duration().convert(text, None, None)


@pytest.mark.parametrize("command", [None, *commands.COMMANDS])
def test_every_command_explains_itself_with_examples(cli, command):
    """Its help is on standard output, with exit code 0."""
    done = cli(*([command] if command else []), "--help")
    assert (done.code, done.err) == (0, "")
    assert "Examples:" in done.out
    assert re.search(rf"^ +(source <\()?lambent {command or 'invoke'}", done.out, re.MULTILINE)


@pytest.mark.parametrize("group", ["alias", "rollout"])
def test_every_command_of_a_group_explains_itself_and_its_flags_are_in_the_guide(cli, group):
    """One line in the overview, examples in its own help."""
    guide = (ROOT / "docs/guide/cli.md").read_text()
    for name, command in commands.lambent.get_command(None, group).commands.items():
        done = cli(group, name, "--help")
        assert (done.code, done.err) == (0, "")
        assert f"  lambent {group} {name} " in done.out
        assert "..." not in command.get_short_help_str()
        assert f"lambent {group} {name}" in guide
        for option in command.params:
            if isinstance(option, click.Option):
                assert any(flag in guide for flag in option.opts if flag.startswith("--")), (name, option.opts)


def test_the_exit_codes_are_listed_in_the_help_and_in_the_guide(cli):
    """The same meanings in both, none left out."""
    assert set(MEANINGS) == set(ExitCode)
    help_, guide = cli("--help").out, (ROOT / "docs/guide/cli.md").read_text()
    bar = r"\|"
    for code, meaning in MEANINGS.items():
        assert re.search(rf"^ +{code:d} +{re.escape(meaning)}$", help_, re.MULTILINE), code
        assert f"| {code:d} | {meaning.replace('|', bar)} |" in guide


def test_every_command_and_flag_of_ours_is_in_the_guide():
    """kubectl's own flags are named once there."""
    guide = (ROOT / "docs/guide/cli.md").read_text()
    for name in commands.COMMANDS:
        command = commands.lambent.get_command(None, name)
        assert f"lambent {name}" in guide
        for option in command.params:
            if isinstance(option, click.Option):
                assert any(flag in guide for flag in option.opts if flag.startswith("--")), (name, option.opts)


@pytest.mark.parametrize(("word", "near"), [("invok", "invoke"), ("log", "logs"), ("xyzzy", None)])
def test_a_command_that_does_not_exist_is_a_usage_error_with_a_suggestion(cli, word, near):
    """Exit code 2."""
    done = cli(word)
    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert done.err.splitlines()[0] == f"error: unknown command '{word}'." + (
        f" Did you mean '{near}'?" if near else ""
    )

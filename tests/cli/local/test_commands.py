"""The commands of `lambent local`: help, completion, flags in the guide, `generate-event` from end to end."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from lambent.cli.local import generating, group
from lambent.cli.local.invoking import invoke
from lambent.cli.outcomes import ExitCode

ROOT = Path(__file__).resolve().parents[3]
GUIDE = (ROOT / "docs/guide/local.md").read_text()


def test_the_sources_and_types_are_listed(cli):
    """Every one, with what happened; and the guide lists the sources."""
    done = cli("local", "generate-event")
    assert (done.code, done.err) == (0, "")
    rows = [line.split(maxsplit=2) for line in done.out.splitlines()[1:]]
    assert [row[:2] for row in rows] == [
        [source, kind] for source in generating.sources() for kind in generating.types(source)
    ]
    assert all(row[2].strip() for row in rows)
    for source in generating.sources():
        assert f"`{source}`" in GUIDE, source


def test_an_event_is_printed_with_what_was_given(cli):
    """By flags, by `--set`; as JSON and as YAML."""
    done = cli("local", "generate-event", "s3", "put", "--bucket", "photos", "--set", "Records[0].s3.object.size=7")
    record = json.loads(done.out)["Records"][0]["s3"]
    assert (done.code, record["bucket"]["arn"], record["object"]["size"]) == (0, "arn:aws:s3:::photos", 7)
    assert cli("local", "generate-event", "iot", "device-message", "-o", "yaml").out.startswith("topic: sensors/1\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("s4",), "No such command 's4'."),
        (("s3", "putt"), "No such command 'putt'."),
        (("s3", "put", "--set", "Records"), "'Records' is not PATH=VALUE"),
        (("s3", "put", "--set", "Records[7].a=1"), "Records.7: the list has 1 items"),
        (("sns", "notification", "--time", "soon"), "Invalid isoformat string: 'soon'"),
        (("eventbridge", "event", "--detail", "{"), "Expecting property name enclosed in double quotes"),
    ],
)
def test_what_makes_no_event_is_a_usage_error(cli, arguments, words):
    """Exit code 2, one line."""
    done = cli("local", "generate-event", *arguments)
    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert done.err.startswith("error: ")
    assert words in done.err


@pytest.mark.parametrize("command", group.COMMANDS)
def test_every_command_explains_itself_with_examples(cli, command):
    """Its help is on standard output, with exit code 0."""
    done = cli("local", command, "--help")
    assert (done.code, done.err) == (0, "")
    assert re.search(rf"Examples:\n +lambent local {command}", done.out)


def test_every_flag_of_invoke_is_in_the_guide():
    """By its long name."""
    for option in invoke.params:
        if isinstance(option, click.Option):
            assert any(flag in GUIDE for flag in option.opts if flag.startswith("--")), option.opts


@pytest.fixture
def completed(cli, monkeypatch):
    """Candidates for a command line, its last word incomplete, as kubectl asks for them."""

    def complete(*words):
        lines = cli("completion", "kubectl", "--", "local", *words).out.splitlines()
        return [line.partition("\t")[0] for line in lines[:-1]]

    return complete


@pytest.mark.parametrize(
    ("words", "candidates"),
    [
        (("",), ["invoke", "generate-event"]),
        (("generate-event", "cloudf"), ["cloudformation", "cloudfront"]),
        (("generate-event", "sqs", ""), ["fifo", "receive-message"]),
        (("generate-event", "s3", "put", "--bu"), ["--bucket"]),
        (("generate-event", "s3", "put", "-o", ""), ["json", "yaml"]),
        (("invoke", "-f", "{file}", "--function", "w"), ["worker"]),
    ],
)
def test_sources_types_flags_and_functions_are_completed(completed, tmp_path, words, candidates):
    """Without a cluster."""
    functions = "".join(
        f"apiVersion: lambent.dev/v1alpha1\nkind: Function\nmetadata: {{name: {name}}}\n---\n"
        for name in ("web", "worker")
    )
    (tmp_path / "functions.yaml").write_text(functions)
    given = [str(tmp_path / "functions.yaml") if word == "{file}" else word for word in words]
    if words[-1] == "w":
        candidates = ["web", "worker"]
    assert completed(*given) == candidates


@pytest.mark.parametrize(
    ("arguments", "light"),
    [
        (["local", "--help"], {"kubernetes", "aiohttp", "pydantic", "asyncio", "yaml", "ssl"}),
        (["local", "generate-event", "s3", "put"], {"kubernetes", "aiohttp", "pydantic", "asyncio", "yaml", "ssl"}),
        (["local", "invoke", "--help"], {"kubernetes", "aiohttp", "pydantic", "asyncio", "yaml"}),
        (["local", "invoke", "-f", "{file}"], {"kubernetes", "aiohttp", "asyncio", "ssl"}),
    ],
)
def test_what_is_not_needed_is_not_imported(project, arguments, light):
    """It would be waited for at every run."""
    project.python("def handler(event, context): return 1")
    given = [str(project.manifest) if word == "{file}" else word for word in arguments]
    script = (
        "import sys\n"
        "from lambent.cli import entering\n"
        f"assert entering.run({given!r}, 'lambent') == 0\n"
        "print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT / "operator",
        stdin=subprocess.DEVNULL,
    )
    assert not set(done.stderr.splitlines()[-1].split()) & light

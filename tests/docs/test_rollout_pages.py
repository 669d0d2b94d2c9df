"""docs/guide/versions.md, rollouts.md and gitops.md say what the model says, and what is copied from them works."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from tests.gitops.situations import SITUATIONS

from lambent.model import limits, names
from lambent.model.alias_statuses import AlarmStatus, Phase
from lambent.model.aliases import AliasSpec
from lambent.model.functions import FunctionSpec
from lambent.model.rollouts import PREFIX, STRATEGIES, Alarm, Hook, Rollout
from lambent.model.versions import VersionSpec

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide"
ROLLOUTS, VERSIONS, GITOPS = ((GUIDE / f"{name}.md").read_text() for name in ("rollouts", "versions", "gitops"))
REFERENCE = [(GUIDE.parent / "spec" / f"{name}.md").read_text() for name in ("version", "alias")]
SPECS = {"Alias": AliasSpec, "Function": FunctionSpec, "Version": VersionSpec}


def section(title: str, text: str = ROLLOUTS) -> str:
    """The text below a heading, up to the next heading of any level."""
    (found,) = re.findall(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", text, re.DOTALL | re.MULTILINE)
    return found


def rows(text: str) -> list[list[str]]:
    """Cells of the first table of a text, without its head."""
    lines = text.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("|"))
    table = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table[2:]


def ticked(cells: list[str]) -> list[str]:
    return [re.findall(r"`([^`]+)`", cell)[0] for cell in cells]


def words(annotation: Any) -> tuple[str, ...]:
    """Members of a Literal, or of one among others."""
    return tuple(word for one in get_args(annotation) for word in (get_args(one) or (one,)) if isinstance(word, str))


def test_the_strategies_are_those_of_the_model() -> None:
    """Their names, steps and how long they take."""
    told = {}
    for name, steps, minutes in rows(section("Strategies")):
        (strategy,) = ticked([name])
        percentages = [] if steps == "none" else [int(one) for one in re.findall(r"\d+", steps)]
        told[strategy] = (percentages, int(minutes.removesuffix(" min")) * 60)
    planned = {name: Rollout(strategy=name).planned() for name in STRATEGIES}
    assert told == {
        name: ([step.percentage for step in steps], sum(step.seconds for step in steps))
        for name, steps in planned.items()
    }
    assert f"`{PREFIX}`" in section("Strategies")


def test_the_phases_are_those_of_the_model() -> None:
    """In the order of the model."""
    assert ticked([row[0] for row in rows(section("The course of it"))]) == list(get_args(Phase))


def test_the_metrics_are_those_of_the_model() -> None:
    """And no other."""
    assert ticked([row[0] for row in rows(section("Alarms"))]) == list(words(Alarm.model_fields["metric"].annotation))


def test_the_words_of_alarms_are_those_of_the_model() -> None:
    """Comparisons, states, what missing data does, and the defaults."""
    text, fields = section("Alarms"), Alarm.model_fields
    for word in (
        *words(fields["comparison_operator"].annotation),
        *words(fields["treat_missing_data"].annotation),
        *words(AlarmStatus.model_fields["state"].annotation),
    ):
        assert f"`{word}`" in text
    for field in ("comparison_operator", "treat_missing_data"):
        assert f"`{fields[field].default}` (the default)" in text
    assert f"`period` is {fields['period'].default} seconds without it" in text
    assert f"`minimumSamples` ({fields['minimum_samples'].default} without it)" in text
    placeholders = set(re.findall(r"`(\$\{[A-Za-z]+\})`", text))
    assert placeholders and all(one in str(Rollout.model_json_schema()) for one in placeholders)


def test_what_people_ask_for_is_what_the_controller_reads() -> None:
    """The annotation and its values."""
    text = section("Pause, resume, promote, abort")
    assert f"`{names.ANNOTATION_ROLLOUT}`" in text
    asked = [re.findall(r"`([a-z]+)`", row[1]) for row in rows(text)]
    assert {word for one in asked for word in one} == set(names.ROLLOUT_REQUESTS)


def test_a_hook_is_waited_for_as_long_as_the_page_says() -> None:
    """An hour; and so many rollouts are kept."""
    assert Hook(function_name="f").timeout_seconds == 3600
    assert "`timeoutSeconds`, an hour without" in section("Hooks")
    assert limits.ROLLOUT_HISTORY_MAX == 10
    assert "the ten that ended last" in section("The course of it")


def examples(language: str, text: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize(
    "text", [one for page in (VERSIONS, ROLLOUTS, *REFERENCE) for one in examples("yaml", page) if "kind:" in one]
)
def test_the_examples_are_what_the_kinds_take(text: str) -> None:
    """What is copied from the pages is accepted."""
    body = yaml.safe_load(text)
    assert body["apiVersion"] == names.API_VERSION
    SPECS[body["kind"]].model_validate(body["spec"], extra="forbid")


def test_fragments_are_what_a_rollout_takes() -> None:
    """Those without a kind."""
    fragments = [yaml.safe_load(one) for one in examples("yaml", ROLLOUTS) if "kind:" not in one]
    assert len(fragments) == 2
    for fragment in fragments:
        rollout = fragment.get("rollout") or {"strategy": "AllAtOnce", **fragment}
        Rollout.model_validate(rollout, extra="forbid")


@pytest.fixture
def gateway() -> Any:
    """A server that keeps what it is told, and answers as CodeDeploy does."""

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.append((self.headers["X-Amz-Target"], json.loads(body)))
            answer = json.dumps({"lifecycleEventHookExecutionId": "e"}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    told: list[tuple[str, Any]] = []
    server = HTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", told
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("source", examples("python", ROLLOUTS), ids=["boto3", "without boto3"])
def test_the_hooks_of_the_page_report(source: str, gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the environment that a function has: a region, no credentials, and the endpoint of the page."""
    address, told = gateway
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_CODEDEPLOY", address)
    module: dict[str, Any] = {}
    exec(source, module)
    module["handler"]({"DeploymentId": "d-ABCDEFGH1", "LifecycleEventHookExecutionId": "e"}, None)
    report = {"deploymentId": "d-ABCDEFGH1", "lifecycleEventHookExecutionId": "e", "status": "Succeeded"}
    assert told == [("CodeDeploy_20141006.PutLifecycleEventHookExecutionStatus", report)]


def test_the_table_of_health_is_what_was_tested() -> None:
    """Each row is a situation of tests/gitops."""
    table = rows(section("Health", GITOPS))
    assert len(table) > 5
    for name, argo, kstatus in table:
        situation = SITUATIONS[f"Alias: {name}"]
        assert (situation.argo, situation.kstatus) == (argo, kstatus), name


@pytest.mark.parametrize("page", ["versions", "rollouts", "gitops"])
def test_links_lead_somewhere(page: str) -> None:
    """Files of the repository, and headings in them."""
    text = (GUIDE / f"{page}.md").read_text()
    for target in re.findall(r"\]\((?!http)([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        found = (GUIDE / path).resolve() if path else GUIDE / f"{page}.md"
        assert found.exists(), target
        headings = re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE) if anchor else []
        assert not anchor or anchor in [re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings]

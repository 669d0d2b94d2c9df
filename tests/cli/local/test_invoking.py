"""`lambent local invoke`: the real agent and AWS's own runtime client, as processes of this machine."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
import zipfile
from pathlib import Path

import pytest

from lambent.cli.outcomes import ExitCode

HELLO = """
    def handler(event, context):
        print("at work")
        return {"hello": event.get("name", "world")}
"""


@pytest.fixture
def invoke(cli, project):
    """`lambent local invoke` of the project's manifest."""

    def run(*arguments, stdin=b"", **more):
        return cli("local", "invoke", "-f", str(project.manifest), *arguments, stdin=stdin, **more)

    return run


def test_the_answer_is_on_standard_output_and_the_log_on_standard_error(project, invoke):
    """The lines of Lambda, the function's between them, in their order."""
    project.python(HELLO)
    done = invoke("-e", '{"name": "you"}')
    assert (done.code, done.out) == (0, '{"hello": "you"}')
    number = r"[0-9.]+ ms"
    assert re.fullmatch(
        r"INIT_START Runtime Version: python:?3\.11\n"
        r"START RequestId: (?P<id>[0-9a-f-]{36}) Version: \$LATEST\n"
        r"at work\n"
        r"END RequestId: (?P=id)\n"
        rf"REPORT RequestId: (?P=id)\tDuration: {number}\tBilled Duration: \d+ ms\tMemory Size: 128 MB\t"
        rf"Max Memory Used: \d+ MB\tInit Duration: {number}\t\n",
        done.err,
    )


@pytest.mark.parametrize(
    ("arguments", "stdin", "answer"),
    [
        pytest.param((), b"", "{}", id="none, which is {}"),
        pytest.param(("-e", "{file}"), b"", '{"from": "file"}', id="a file"),
        pytest.param(("-e", "[1]"), b"2", "[1]", id="the argument itself"),
        pytest.param(("-e", "-"), b"2", "2", id="standard input by -"),
        pytest.param((), b"3", "3", id="what is piped in"),
    ],
)
def test_the_event_is(project, invoke, tmp_path, arguments, stdin, answer):
    """From wherever a person has it."""
    project.python("def handler(event, context): return event")
    (tmp_path / "event.json").write_text('{"from": "file"}')
    given = [str(tmp_path / "event.json") if word == "{file}" else word for word in arguments]
    assert invoke(*given, stdin=stdin).out == answer


def test_the_function_sees_what_it_sees_on_lambda(project, invoke, monkeypatch):
    """Context, environment and working directory; of ours nothing; the variables of all three places."""
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    monkeypatch.setenv("FROM_HERE", "here")
    monkeypatch.setenv("LAMBENT_TOKEN", "secret")
    project.write(
        """
        runtime: python3.11
        handler: src/app.handler
        memorySize: 256
        functionName: Hello_1
        loggingConfig: {logGroup: my-group}
        environment:
          variables: {STATED: manifest, OVERRIDDEN: manifest}
          valueFrom: [{name: PASSWORD, secretKeyRef: {name: db, key: password}}]
        code: {url: "https://code.example/app.zip", sha256: "%s"}
        """
        % ("0" * 64)
    )
    project.file(
        "src/app.py",
        """
        import os, tempfile
        def handler(event, context):
            client = context.client_context
            return {
                "arn": context.invoked_function_arn, "name": context.function_name, "memory": context.memory_limit_in_mb,
                "left": context.get_remaining_time_in_millis(), "group": context.log_group_name,
                "client": client.custom if client else None,
                "cwd": os.getcwd(), "environ": dict(os.environ), "temporary": tempfile.gettempdir(),
            }
        """,
    )
    (project.folder / "vars").write_text("# mine\nexport OVERRIDDEN='file'\nPASSWORD=from=file\n\n")
    more = ("--env", "FROM_HERE", "--env", "EMPTY=", "--env-vars", str(project.folder / "vars"))
    done = invoke("--client-context", '{"custom": {"a": "b"}}', "--timeout", "20s", *more)
    assert done.code == 0, done.err
    assert done.err.startswith(f"code.url is not fetched: the code is taken from {project.folder}\n")
    seen = json.loads(done.out)
    assert seen["arn"] == "arn:aws:lambda:eu-west-3:000000000000:function:Hello_1"
    assert (seen["name"], seen["memory"], seen["group"]) == ("Hello_1", "256", "my-group")
    assert seen["client"] == {"a": "b"}
    assert 3000 < seen["left"] <= 20_000
    assert seen["cwd"] == str(project.folder)
    assert seen["temporary"].startswith(str(project.folder.parent / "temporary" / "lambent-"))
    environ = seen["environ"]
    own = {name: environ[name] for name in ("STATED", "OVERRIDDEN", "PASSWORD", "FROM_HERE", "EMPTY")}
    assert own == {
        "STATED": "manifest",
        "OVERRIDDEN": "file",
        "PASSWORD": "from=file",
        "FROM_HERE": "here",
        "EMPTY": "",
    }
    assert (environ["AWS_REGION"], environ["_HANDLER"]) == ("eu-west-3", "src/app.handler")
    assert environ["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.11"
    assert not [name for name in environ if name.startswith(("LAMBENT_", "KUBECONFIG"))]


def test_the_example_of_the_readme_runs_here_too(cli, temporary):
    """The same manifest as on a cluster."""
    example = str(Path(__file__).resolve().parents[3] / "examples/hello/function.yaml")
    done = cli("local", "invoke", "-f", example, "-e", '{"name": "you"}', stdin=b"")
    assert (done.code, json.loads(done.out)["message"]) == (0, "Hello, you!")


def test_a_failure_of_the_function_is_told_and_exits_with_1(project, invoke):
    """Nothing on standard output; the traceback in lines."""
    project.python("def handler(event, context):\n    raise KeyError('no such thing')")
    done = invoke()
    assert (done.code, done.out) == (ExitCode.FUNCTION_FAILED, "")
    assert "error: the function failed: KeyError: 'no such thing'\n" in done.err
    assert "\nTraceback (most recent call last):\n" in done.err
    assert "\r" not in done.err


@pytest.mark.parametrize(
    ("code", "arguments", "told"),
    [
        pytest.param(
            "import time\ndef handler(event, context): time.sleep(60)",
            ("--timeout", "0.25"),
            "Sandbox.Timedout: RequestId: .* Error: Task timed out after 0.25 seconds",
            id="that takes too long",
        ),
        pytest.param(
            "import os\ndef handler(event, context): os._exit(3)",
            (),
            "Runtime.ExitError: RequestId: .* Error: Runtime exited with error: exit status 3",
            id="that exits",
        ),
        pytest.param(
            "import nothing_there",
            (),
            "Runtime.ImportModuleError: Unable to import module 'index': No module named 'nothing_there'",
            id="that cannot be imported",
        ),
    ],
)
def test_a_function(project, invoke, code, arguments, told):
    """Has Lambda's words."""
    project.python(code)
    done = invoke(*arguments)
    assert (done.code, done.out) == (ExitCode.FUNCTION_FAILED, "")
    assert re.search(f"^error: the function failed: {told}", done.err, re.MULTILINE), done.err


def test_the_facts_come_as_json_and_yaml(project, invoke):
    """With `--output`, as of an invocation on a cluster; the log goes where `--log` says."""
    project.python(HELLO)
    log = project.folder / "log"
    facts = json.loads(invoke("-o", "json", "--log", str(log)).out)
    assert {name: facts[name] for name in ("statusCode", "executedVersion", "payload")} == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "payload": {"hello": "world"},
    }
    assert f"START RequestId: {facts['requestId']}" in log.read_text()
    assert "at work\n" in facts["log"]


def test_a_zip_in_the_manifest_is_unpacked_and_removed(project, invoke):
    """Though the agent makes everything in it read-only."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("package/app.py", "def handler(event, context): return __file__")
    text = base64.b64encode(buffer.getvalue()).decode()
    project.write(f"runtime: python3.11\nhandler: package.app.handler\ncode: {{zipFile: '{text}'}}")
    assert re.fullmatch(r'".*/temporary/lambent-[^/]+/task/package/app\.py"', invoke().out)


@pytest.mark.parametrize("more", ["", "environment: {variables: {PYTHONWARNINGS: error}}"], ids=["", "started afresh"])
def test_a_project_stays_as_it_was(project, invoke, more):
    """No __pycache__: what a change within one second leaves there would be taken for the new code."""
    project.write(f"runtime: python3.11\nhandler: app.handler\ncode: {{artifactUri: registry.example/app:1}}\n{more}")
    project.file("app.py", "import part\ndef handler(event, context): return part.name")
    project.file("part.py", "name = 'part'")
    before = sorted(project.folder.rglob("*"))
    assert invoke().out == '"part"'
    assert sorted(project.folder.rglob("*")) == before


def test_layers_stand_for_opt_and_later_ones_win(project, invoke):
    """As Lambda merges them; modules, and data below LAMBDA's /opt."""
    project.python("import first, both\ndef handler(event, context): return [first.name, both.name]")
    project.file("one/python/first.py", "name = 'of one'")
    project.file("one/python/both.py", "name = 'of one'")
    project.file("two/python/both.py", "name = 'of two'")
    folders = [str(project.folder / name) for name in ("one", "two")]
    assert invoke("--layer", folders[0], "--layer", folders[1]).out == '["of one", "of two"]'
    assert (project.folder / "one/python/both.py").read_text() == "name = 'of one'"


def test_an_extension_of_a_layer_runs_beside_the_function(project, invoke):
    """Told of the invocation, and of the shutdown after it."""
    project.python(HELLO)
    project.file(
        "layer/extensions/watcher",
        f"""
        #!{sys.executable}
        import json, os, urllib.request
        api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2020-01-01/extension/"
        wanted = json.dumps({{"events": ["INVOKE", "SHUTDOWN"]}}).encode()
        name = {{"Lambda-Extension-Name": "watcher"}}
        with urllib.request.urlopen(urllib.request.Request(api + "register", wanted, name)) as answer:
            identifier = {{"Lambda-Extension-Identifier": answer.headers["Lambda-Extension-Identifier"]}}
        kind = None
        while kind != "SHUTDOWN":
            with urllib.request.urlopen(urllib.request.Request(api + "event/next", headers=identifier)) as answer:
                kind = json.load(answer)["eventType"]
            print("told of", kind, flush=True)
        """,
        0o755,
    )
    done = invoke("--layer", str(project.folder / "layer"))
    assert (done.code, done.out) == (0, '{"hello": "world"}')
    assert "EXTENSION\tName: watcher\tState: Ready\tEvents: [INVOKE, SHUTDOWN]\n" in done.err
    assert re.search("told of INVOKE\n(.*\n)*REPORT .*\n(.*\n)*told of SHUTDOWN\n", done.err)


def test_a_custom_runtime_brings_its_bootstrap(project, invoke):
    """`provided`: the program of the code's folder, with the Runtime API in its environment."""
    project.write("runtime: provided.al2023\nhandler: any\ncode: {artifactUri: registry.example/app:1}")
    project.file(
        "bootstrap",
        f"""
        #!{sys.executable}
        import os, urllib.request
        api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
        while True:
            with urllib.request.urlopen(api + "next") as event:
                answer = event.read().upper()
            urllib.request.urlopen(api + event.headers["Lambda-Runtime-Aws-Request-Id"] + "/response", answer).read()
        """,
        0o755,
    )
    assert invoke("-e", '"shout"').out == '"SHOUT"'


def test_a_bootstrap_that_is_missing_has_lambdas_words(project, invoke):
    """Runtime.InvalidEntrypoint."""
    project.write("runtime: provided.al2023\nhandler: any\ncode: {artifactUri: registry.example/app:1}")
    done = invoke("--code", str(project.folder))
    assert done.code == ExitCode.FUNCTION_FAILED
    assert "Runtime.InvalidEntrypoint" in done.err

"""Which Function a file holds, where its code is, what stands in its environment; and every refusal in its words."""

from __future__ import annotations

import re

import pytest

from lambent.cli.local import manifests, sources, variables
from lambent.cli.outcomes import CommandFailed, ExitCode
from lambent.model import environment_variables, limits

INLINE = 'code: {inline: "x = 1"}'
GOOD = f"runtime: python3.11\nhandler: index.handler\n{INLINE}"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        pytest.param(
            GOOD + "\nmemorySize: 5",
            "1 validation error detected: Value at 'memorySize' failed to satisfy constraint: "
            "Member must have value greater than or equal to 128",
            id="too little memory",
        ),
        pytest.param(
            GOOD + "\ntimeout: 901",
            "1 validation error detected: Value at 'timeout' failed to satisfy constraint: "
            "Member must have value less than or equal to 900",
            id="too long a timeout",
        ),
        pytest.param(GOOD + "\nmemory: 256", 'strict decoding error: unknown field "spec.memory"', id="a typing error"),
        pytest.param(
            GOOD + "\nenvironment: {valueFrom: [{name: A1, secretRef: {}}]}",
            'strict decoding error: unknown field "spec.environment.valueFrom[0].secretRef"',
            id="a typing error deep inside",
        ),
        pytest.param(
            "runtime: python3.11\n" + INLINE,
            "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
            id="no handler",
        ),
        pytest.param(
            "runtime: python3.11\nhandler: index.handler\ncode: {}",
            "Please provide a source for function code.",
            id="no code",
        ),
        pytest.param(
            "runtime: python3.11\nhandler: index.handler\ncode: {inline: x, zipFile: eA==}",
            "Please do not provide other FunctionCode parameters when providing a ZipFile.",
            id="two sources",
        ),
        pytest.param(
            "runtime: python3.11\nhandler: app.handler\n" + INLINE,
            "inline code is saved as a file named index: the handler must be index.<function>",
            id="inline code by another name",
        ),
        pytest.param(
            GOOD + "\nenvironment: {variables: {AWS_REGION: x}}",
            environment_variables.RESERVED_REFUSED + "AWS_REGION",
            id="a reserved variable",
        ),
        pytest.param(
            GOOD + "\nenvironment: {variables: {LONG: %s}}" % ("x" * limits.ENVIRONMENT_BYTES_MAX),
            environment_variables.SIZE_REFUSED,
            id="too large an environment",
        ),
        pytest.param(GOOD + "\ntimeout: soon", "spec.timeout: Input should be a valid integer", id="another type"),
    ],
)
def test_a_manifest_is_refused_as_a_cluster_refuses_it_for(project, spec, words):
    """The model's rules, and its words."""
    manifest = manifests.read(project.manifest if project.write(spec) else None, None)
    with pytest.raises(CommandFailed, match=re.escape(f"cannot be a Function: {words}")) as failed:
        manifests.judge(manifest, [])
    assert failed.value.code is ExitCode.USAGE


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("AWS_REGION", environment_variables.RESERVED_REFUSED + "AWS_REGION"),
        ("1X", environment_variables.NAME_REFUSED),
    ],
)
def test_a_variable_of_the_command_line_obeys_the_same_rules(project, name, words):
    """It would be ignored otherwise."""
    project.write(GOOD)
    with pytest.raises(CommandFailed, match=re.escape(words)):
        manifests.judge(manifests.read(project.manifest, None), [name])


@pytest.mark.parametrize("runtime", ["python3.9", "python3.15", "nodejs18.x", "provided"])
def test_a_runtime_is_as_new_or_old_as_the_interpreter_at_hand(project, runtime):
    """A cluster's catalogue does not matter here."""
    project.write(f"runtime: {runtime}\nhandler: index.handler\ncode: {{zipFile: eA==}}")
    assert manifests.judge(manifests.read(project.manifest, None), []).runtime == runtime


def function(name):
    return f"apiVersion: lambent.dev/v1alpha1\nkind: Function\nmetadata: {{name: {name}}}\nspec: {{}}\n---\n"


OTHERS = "apiVersion: v1\nkind: ConfigMap\n---\n---\n- a list\n---\n"


@pytest.mark.parametrize(
    ("text", "name", "code", "words"),
    [
        (OTHERS + function("a"), "b", ExitCode.NOT_FOUND, "holds no Function b: there are a"),
        (OTHERS, None, ExitCode.NOT_FOUND, "holds no Function (apiVersion lambent.dev/…, kind Function)"),
        (function("a") + function("b"), None, ExitCode.USAGE, "holds several Functions: choose by --function"),
        ("a: [", None, ExitCode.USAGE, "is not YAML"),
        (None, None, ExitCode.USAGE, "No such file or directory"),
    ],
)
def test_a_file_without_the_one_function_is_told(project, text, name, code, words):
    """With what it holds instead."""
    if text is not None:
        project.manifest.write_text(text)
    with pytest.raises(CommandFailed, match=re.escape(words)) as failed:
        manifests.read(project.manifest, name)
    assert failed.value.code is code


def test_one_of_several_is_chosen_by_lambdas_name(project):
    """Other documents do not count."""
    project.manifest.write_text(OTHERS + function("a") + function("b").replace("spec: {}", "spec: {functionName: B_1}"))
    assert manifests.read(project.manifest, "B_1").body["metadata"]["name"] == "b"
    assert [each.name for each in manifests.read_all(project.manifest)] == ["a", "B_1"]


@pytest.mark.parametrize(
    ("runtime", "handler", "file"),
    [
        ("python3.11", "app.handler", "app.py"),
        ("python3.11", "a.b.handler", "a/b.py"),
        ("python3.11", "a/b.handler", "a/b.py"),
        ("python3.11", "app.handler", "app/__init__.py"),
        ("nodejs22.x", "index.handler", "index.mjs"),
        ("nodejs22.x", "dist/index.handler", "dist/index.js"),
        ("provided.al2023", "any", "bootstrap"),
    ],
)
def test_code_that_is_elsewhere_is_taken_from_the_manifests_folder(project, runtime, handler, file):
    """If what the handler names is there; else somebody has to say where it is."""
    project.write(f"runtime: {runtime}\nhandler: {handler}\ncode: {{configMapRef: {{name: code}}}}")
    manifest = manifests.read(project.manifest, None)
    with pytest.raises(CommandFailed, match=re.escape("code.configMapRef is not fetched for a local run")) as failed:
        sources.choose(manifest, None)
    assert failed.value.hint == "give the folder of the code: --code DIR"
    project.file(file, "")
    assert sources.choose(manifest, None).folder == project.folder


def test_a_given_folder_wins_over_whatever_the_manifest_says(project):
    """Even over inline code."""
    project.write(GOOD)
    manifest = manifests.read(project.manifest, None)
    assert sources.choose(manifest, None).folder is None
    assert sources.choose(manifest, str(project.folder)).folder == project.folder
    with pytest.raises(CommandFailed, match="is no folder"):
        sources.choose(manifest, str(project.manifest))


def test_an_image_does_not_run_without_a_container(project):
    """It says so."""
    project.write("packageType: Image\ncode: {imageUri: registry.example/app:1}")
    with pytest.raises(CommandFailed, match="it runs only in a container") as failed:
        sources.choose(manifests.read(project.manifest, None), None)
    assert failed.value.code is ExitCode.NOT_READY


def test_variables_of_a_cluster_have_to_be_given():
    """All that are missing are named at once."""
    with pytest.raises(CommandFailed, match="no value for ONE, TWO") as failed:
        variables.complete({}, ["ONE", "TWO", "THREE"], {"THREE": "3"})
    assert failed.value.hint == "give them: --env ONE=… --env TWO=…, or in a file by --env-vars"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A=1\n# B=2\n\nexport C='x y'\nD=\nE=a=b\n", {"A": "1", "C": "x y", "D": "", "E": "a=b"}),
        ('{"A": "x", "B": 2, "C": true}', {"A": "x", "B": "2", "C": "true"}),
        ('{"Parameters": {"A": "all"}, "hello": {"B": "own"}, "other": {"C": "not ours"}}', {"A": "all", "B": "own"}),
    ],
)
def test_a_file_of_variables_is_lines_or_json(tmp_path, text, found):
    """A JSON object, also by function as SAM has it."""
    (tmp_path / "vars").write_text(text)
    assert variables.given([], str(tmp_path / "vars"), "hello") == found


@pytest.mark.parametrize("text", ["A", "A=1\n1B=2", "{", '{"A": ["x"]}'])
def test_any_other_file_of_variables_is_refused(tmp_path, text):
    """With the line, or what is wrong."""
    (tmp_path / "vars").write_text(text)
    with pytest.raises(CommandFailed, match="--env-vars"):
        variables.given([], str(tmp_path / "vars"), "hello")

"""`lambent alias`: list, set, delete; what is asked of the API server and what is said of it."""

from __future__ import annotations

import json
import threading

import pytest

from lambent.cli import pointing, rollouts
from lambent.cli.outcomes import ExitCode
from lambent.model import alias_statuses

ALIASES = "/apis/lambent.dev/v1alpha1/namespaces/default/aliases"
RULE = "give rollout or routingConfig, not both: a rollout sets the weights by itself, in status.routing"


@pytest.fixture
def hello(cluster):
    function = cluster.function("hello")
    for number in ("1", "2", "3"):
        cluster.published(function, number)
    return function


def patches(cluster):
    return [
        (asked.path, asked.headers["content-type"], asked.json) for asked in cluster.requests if asked.method == "PATCH"
    ]


@pytest.mark.parametrize(
    ("arguments", "spec"),
    [
        pytest.param(("hello", "live", "3"), {"functionVersion": "3"}, id="a number"),
        pytest.param(("hello:live", "3"), {"functionVersion": "3"}, id="function and alias in one word"),
        pytest.param(("default/hello:live", "3"), {"functionVersion": "3"}, id="with its namespace"),
        pytest.param(("hello", "live", "$LATEST"), {"functionVersion": "$LATEST"}, id="$LATEST"),
        pytest.param(("hello", "live", "latest-published"), {"latestPublished": True}, id="what is published last"),
        pytest.param(
            ("hello", "live", "3", "--weight", "2=10%", "--description", "x"),
            {
                "functionVersion": "3",
                "routingConfig": {"additionalVersionWeights": {"2": 0.1}},
                "description": "x",
            },
            id="with a weight in percent and a description",
        ),
        pytest.param(
            ("hello", "live", "3", "--strategy", "LambdaCanary10Percent5Minutes"),
            {"functionVersion": "3", "rollout": {"strategy": "LambdaCanary10Percent5Minutes"}},
            id="with a strategy",
        ),
        pytest.param(("hello", "live", "3", "--strategy", "none"), {"functionVersion": "3"}, id="without a strategy"),
    ],
)
def test_an_alias_is_made_by_server_side_apply(cluster, hello, cli, arguments, spec):
    """Under our own field manager; named after the function's object."""
    done = cli("alias", "set", *arguments)
    assert (done.code, done.out, done.err) == (0, "alias.lambent.dev/hello.live created\n", "")
    body = {
        "apiVersion": "lambent.dev/v1alpha1",
        "kind": "Alias",
        "metadata": {"name": "hello.live"},
        "spec": {"functionName": "hello", **spec},
    }
    assert patches(cluster) == [(f"{ALIASES}/hello.live", "application/apply-patch+yaml", body)]
    asked = next(asked for asked in cluster.requests if asked.method == "PATCH")
    assert asked.query == {"fieldManager": "lambent-cli"}


@pytest.mark.parametrize(
    ("alias", "name", "own"),
    [
        ("live", "hello.live", None),
        ("Live", "hello.live", "Live"),
        ("blue_green", "hello.blue-green", "blue_green"),
        ("_", "hello.d2e2adf7", "_"),
    ],
)
def test_the_object_of_an_alias_has_a_name_that_kubernetes_takes(cluster, hello, cli, alias, name, own):
    """Where it is not the alias's own, the specification has that."""
    assert cli("alias", "set", "hello", alias, "1").code == 0
    path, _, body = patches(cluster)[0]
    assert (path, body["spec"].get("name")) == (f"{ALIASES}/{name}", own)


def test_two_aliases_that_differ_in_case_are_two_objects(cluster, hello, cli):
    """`Live` and `live` are two aliases to Lambda."""
    cluster.alias(hello, "live")
    done = cli("alias", "set", "hello", "Live", "2")
    assert done.out.startswith("alias.lambent.dev/hello.live-")
    assert cluster.objects[f"{ALIASES}/hello.live"]["spec"]["functionVersion"] == "1"


def test_an_alias_that_exists_under_any_name_is_changed_and_the_rest_of_it_stays(cluster, hello, cli):
    """Old weights go; hooks, steps and description are not ours to touch."""
    rollout = {"steps": [{"percentage": 5, "seconds": 60}], "hooks": {"preTraffic": {"functionName": "check"}}}
    spec = {"description": "mine", "rollout": rollout}
    cluster.alias(hello, "live", name="in-git", spec=spec)
    done = cli("alias", "set", "hello", "live", "3")
    assert (done.code, done.out, done.err) == (0, "alias.lambent.dev/in-git configured\n", "")
    path, kind, body = patches(cluster)[0]
    assert (path, kind, list(body)) == (f"{ALIASES}/in-git", "application/merge-patch+json", ["spec"])
    now = cluster.objects[f"{ALIASES}/in-git"]["spec"]
    assert now == {"functionName": "hello", "name": "live", "functionVersion": "3", **spec}


def test_new_weights_take_the_place_of_the_old(cluster, hello, cli):
    """A merge patch alone would keep both, which are three versions."""
    weights = {"routingConfig": {"additionalVersionWeights": {"2": 0.5}}}
    cluster.alias(hello, "live", spec=weights)
    cli("alias", "set", "hello", "live", "1", "--weight", "3=0.25")
    now = cluster.objects[f"{ALIASES}/hello.live"]["spec"]
    assert now["routingConfig"] == {"additionalVersionWeights": {"3": 0.25}}
    cli("alias", "set", "hello", "live", "1")
    assert "routingConfig" not in cluster.objects[f"{ALIASES}/hello.live"]["spec"]


def test_an_alias_goes_from_one_kind_of_target_to_another(cluster, hello, cli):
    """Exactly one of the three stands in the specification."""
    cluster.alias(hello, "live", spec={"versionRef": {"name": "x"}})
    cli("alias", "set", "hello", "live", "latest-published")
    now = cluster.objects[f"{ALIASES}/hello.live"]["spec"]
    assert {key: now.get(key) for key in ("functionVersion", "versionRef", "latestPublished")} == {
        "functionVersion": None,
        "versionRef": None,
        "latestPublished": True,
    }


def test_a_strategy_takes_the_place_of_steps_and_none_that_of_both(cluster, hello, cli):
    """Alarms stay with the one and go with the other."""
    alarms = [{"name": "e", "metric": "Errors", "threshold": 1}]
    cluster.alias(hello, "live", spec={"rollout": {"steps": [{"percentage": 5, "seconds": 60}], "alarms": alarms}})
    cli("alias", "set", "hello", "live", "2", "--strategy", "AllAtOnce")
    path = f"{ALIASES}/hello.live"
    assert cluster.objects[path]["spec"]["rollout"] == {"strategy": "AllAtOnce", "alarms": alarms}
    cli("alias", "set", "hello", "live", "2", "--strategy", "none")
    assert "rollout" not in cluster.objects[path]["spec"]


def test_setting_what_is_there_already_changes_nothing(cluster, hello, cli):
    """As kubectl says it."""
    cluster.alias(hello, "live", "2")
    assert cli("alias", "set", "hello", "live", "2").out == "alias.lambent.dev/hello.live unchanged\n"


@pytest.mark.parametrize(
    ("metadata", "owner"),
    [
        ({"managedFields": [{"manager": "argocd-controller", "fieldsV1": {"f:spec": {}}}]}, "Argo CD"),
        ({"managedFields": [{"manager": "kustomize-controller", "fieldsV1": {"f:spec": {}}}]}, "Flux"),
        ({"managedFields": [{"manager": "kubectl-client-side-apply", "fieldsV1": {"f:spec": {}}}]}, "kubectl apply"),
        (
            {"managedFields": [{"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {}}}]},
            "kubectl apply --server-side",
        ),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}, "Flux"),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "x"}}, "Argo CD"),
        ({"managedFields": [{"manager": "argocd-controller", "fieldsV1": {"f:metadata": {}}}]}, None),
        ({"managedFields": [{"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {}}}]}, None),
        ({"managedFields": [{"manager": "lambent-cli", "operation": "Apply", "fieldsV1": {"f:spec": {}}}]}, None),
    ],
)
def test_who_manages_the_alias_besides_is_warned_of(cluster, hello, cli, metadata, owner):
    """It is set nevertheless: in an emergency that is what people want."""
    cluster.alias(hello, "live", **metadata)
    done = cli("alias", "set", "hello", "live", "2")
    said = f"warning: {owner} manages this alias: the next sync takes this change back\n" if owner else ""
    assert (done.code, done.out, done.err) == (0, "alias.lambent.dev/hello.live configured\n", said)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(("hello", "live", "3", "--weight", "2=-0.1"), 2, "at least 0 and at most 1", id="below 0"),
        pytest.param(("hello", "live", "3", "--weight", "2=1.1"), 2, "at least 0 and at most 1", id="above 1"),
        pytest.param(("hello", "live", "3", "--weight", "2=101%"), 2, "at least 0 and at most 1", id="above 100%"),
        pytest.param(("hello", "live", "3", "--weight", "2"), 2, "write VERSION=0.1 or VERSION=10%", id="no share"),
        pytest.param(("hello", "live", "3", "--weight", "2=ten"), 2, "write VERSION=0.1", id="no number"),
        pytest.param(("hello", "live", "3", "--weight", "2=nan"), 2, "write VERSION=0.1", id="not a number"),
        pytest.param(
            ("hello", "live", "3", "--weight", "old=0.1"), 2, "'old' is no number of a", id="an alias's weight"
        ),
        pytest.param(
            ("hello", "live", "3", "--weight", "$LATEST=0.1"),
            2,
            "$LATEST is not supported for an alias pointing to more than 1 version",
            id="a weight for $LATEST",
        ),
        pytest.param(
            ("hello", "live", "$LATEST", "--weight", "2=0.1"),
            2,
            "$LATEST is not supported for an alias pointing to more than 1 version",
            id="$LATEST and a weight",
        ),
        pytest.param(("hello", "live", "3", "--weight", "3=0.1"), 2, "names version 3 itself", id="its own weight"),
        pytest.param(
            ("hello", "live", "3", "--weight", "1=0.1", "--weight", "2=0.1"),
            2,
            "at most two versions",
            id="three versions",
        ),
        pytest.param(("hello", "7", "3"), 2, "(?!^[0-9]+$)", id="an alias named like a number"),
        pytest.param(("hello", "a b", "3"), 2, "(?!^[0-9]+$)", id="an alias with a space"),
        pytest.param(("hello", "live", "old"), 2, "not to aliases", id="an alias of an alias"),
        pytest.param(("hello", "live", ""), 2, "in single quotes", id="what a shell makes of $LATEST"),
        pytest.param(("hello", "live"), 2, "Missing argument 'VERSION' (in a shell", id="no version"),
        pytest.param(("hello",), 2, "Missing argument 'ALIAS'", id="no alias"),
        pytest.param((), 2, "Missing argument 'FUNCTION'", id="no function"),
        pytest.param(("hello:live", "dev", "3"), 2, "'3' is too much", id="two aliases"),
        pytest.param(
            ("hello", "live", "3", "--strategy", "Slow"), 2, "no strategy 'Slow'\nAllAtOnce, ", id="no strategy"
        ),
        pytest.param(
            ("hello", "live", "3", "--strategy", "AllAtOnce", "--weight", "2=1%"), 2, "exclude each other", id="both"
        ),
        pytest.param(("hello", "live", "3", "--timeout", "1m"), 2, "goes with --wait", id="a timeout without waiting"),
        pytest.param(("hello", "live", "9"), 4, "has no version 9\nits versions: 3, 2, 1\n", id="no such version"),
        pytest.param(("hello", "live", "3", "--weight", "9=1%"), 4, "has no version 9", id="no such second version"),
        pytest.param(
            ("bare", "live", "1"), 4, "none is published; publish one: lambent -n default publish bare", id="none"
        ),
        pytest.param(("bare", "live", "latest-published"), 4, "no version of 'bare' is published", id="no latest"),
        pytest.param(("nope", "live", "1"), 4, "there is no function 'nope'", id="no such function"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_written(cluster, hello, cli, arguments, code, said):
    """With what exists, or how it is written."""
    cluster.function("bare")
    done = cli("alias", "set", *arguments)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert patches(cluster) == []


@pytest.mark.parametrize(
    ("text", "meant"),
    [("2=0", 0), ("2=1", 1), ("2=0.1", 0.1), ("2=10%", 0.1), ("2=.5", 0.5), ("2=7%", 0.07), ("2=100%", 1)],
)
def test_weights_are_shares_or_percents(text, meant):
    """Both ends are weights."""
    assert pointing.Weight().convert(text, None, None) == ("2", meant)


@pytest.mark.parametrize(
    ("status", "code"), [(403, ExitCode.DENIED), (422, ExitCode.USAGE), (409, ExitCode.USAGE)], ids=str
)
@pytest.mark.parametrize("exists", [True, False], ids=["changing", "making"])
def test_the_servers_refusal_comes_out_in_its_words(cluster, hello, cli, status, code, exists):
    """Nothing is on standard output."""
    if exists:
        cluster.alias(hello, "live")
    cluster.refuse("PATCH", "aliases/", status, message="what the server says")
    done = cli("alias", "set", "hello", "live", "2")
    assert (done.code, done.out, done.err) == (code, "", "error: what the server says\n")


def test_weights_for_an_alias_with_a_rollout_are_refused_by_the_server_and_the_way_out_is_said(cluster, hello, cli):
    """`--strategy none`."""
    cluster.alias(hello, "live", spec={"rollout": {"strategy": "AllAtOnce"}})
    cluster.refuse("PATCH", "aliases/", 422, message=RULE)
    done = cli("alias", "set", "hello", "live", "2", "--weight", "3=0.1")
    assert done.err == f"error: {RULE}\n--strategy none takes the rollout out of the alias\n"


def test_waiting_ends_when_the_alias_is_there(cluster, hello, cli):
    """On standard error each step, on standard output the object only."""
    body = cluster.alias(hello, "live", "1")

    def later():
        wait_for_watch(cluster)
        cluster.alter(body, status={"observedGeneration": 2, "targetVersion": "2", "routing": {"functionVersion": "2"}})

    threading.Thread(target=later).start()
    done = cli("alias", "set", "hello", "live", "2", "--wait")
    assert (done.code, done.out) == (0, "alias.lambent.dev/hello.live configured\n")
    assert done.err == "the controller has not seen the change yet\nhello:live is at 2\n"


def test_waiting_for_what_the_controller_refuses_is_exit_code_1(cluster, hello, cli):
    """With the reason of its condition."""
    body = cluster.alias(hello, "live", "1")
    words = {"reason": "RoleMismatch", "message": "versions 1 and 2 have different roles"}
    conditions = [{"type": "Ready", "status": "False", **words}, {"type": "Stalled", "status": "True", **words}]
    cluster.controller = lambda path, _: cluster.alter(body, status={"observedGeneration": 2, "conditions": conditions})
    done = cli("alias", "set", "hello", "live", "1", "--weight", "2=0.5", "--wait")
    assert done.code == ExitCode.FUNCTION_FAILED
    assert "RoleMismatch: versions 1 and 2 have different roles" in done.err


def test_waiting_is_over_when_the_time_is(cluster, hello, cli):
    """Exit code 6; the alias is set nevertheless."""
    done = cli("alias", "set", "hello", "live", "2", "--wait", "--timeout", "100ms")
    assert (done.code, done.out) == (ExitCode.UNREACHABLE, "alias.lambent.dev/hello.live created\n")
    assert "not over within 0.1 s: the controller has not seen the change yet" in done.err


def test_aliases_are_listed_with_what_is_in_force(cluster, hello, cli):
    """Version, weights, readiness and rollout."""
    rolling = {
        "deploymentId": "d-ABCDEFGHI",
        "fromVersion": "1",
        "toVersion": "2",
        "phase": "AllowTraffic",
        "step": 1,
        "steps": [{"percentage": 10, "seconds": 60}],
    }
    cluster.alias(hello, "live", "1", weights={"2": 0.1}, status={"rollout": rolling})
    cluster.alias(hello, "dev", "$LATEST", name="a-name-of-its-own")
    done = cli("alias", "list", "hello")
    assert done.out == (
        "NAME   VERSION   WEIGHTS   READY   ROLLOUT\n"
        "dev    $LATEST   -         True    -\n"
        "live   1         2=10%     True    AllowTraffic; step 1/1, 10% to 2\n"
    )
    names = "alias.lambent.dev/a-name-of-its-own\nalias.lambent.dev/hello.live\n"
    assert cli("alias", "list", "hello", "-o", "name").out == names
    assert [each["kind"] for each in json.loads(cli("alias", "list", "hello", "-o", "json").out)["items"]] == [
        "Alias"
    ] * 2
    assert "alias.lambent.dev/a-name-of-its-own   Available" in cli("alias", "list", "hello", "-o", "wide").out


def test_a_function_without_an_alias_is_said_on_standard_error(hello, cli):
    """Nothing failed."""
    done = cli("alias", "list", "hello")
    assert (done.code, done.out, done.err) == (0, "", "the function hello has no alias\n")


@pytest.mark.parametrize("words", [("hello", "live"), ("hello:live",)])
def test_an_alias_is_deleted_whatever_its_object_is_called(cluster, hello, cli, words):
    """By Lambda's name."""
    cluster.alias(hello, "live", name="in-git", labels={"argocd.argoproj.io/instance": "x"})
    done = cli("alias", "delete", *words)
    assert (done.code, done.out) == (0, 'alias.lambent.dev "in-git" deleted\n')
    assert done.err == "warning: Argo CD manages this alias: the next sync makes it again\n"
    assert f"{ALIASES}/in-git" not in cluster.objects


def test_an_alias_that_does_not_exist_is_exit_code_4_with_those_that_do(cluster, hello, cli):
    """And how one is made, without any."""
    done = cli("alias", "delete", "hello", "live")
    assert (done.code, done.out) == (ExitCode.NOT_FOUND, "")
    assert "it has none: lambent -n default alias set hello live 1" in done.err
    cluster.alias(hello, "dev")
    assert "has no alias 'live'\nits aliases: dev\n" in cli("alias", "delete", "hello", "live").err


def test_flags_may_stand_before_the_command_of_a_group_too(cluster, cli):
    """As kubectl takes them."""
    cluster.alias(cluster.function("hello", "shop"), "live")
    expected = "alias.lambent.dev/hello.live\n"
    for words in (("-n", "shop", "alias", "list", "hello"), ("alias", "-n", "shop", "list", "hello")):
        assert cli(*words, "-o", "name").out == expected


def test_a_command_that_a_group_does_not_have_is_a_usage_error_with_a_suggestion(cli):
    """Exit code 2."""
    done = cli("alias", "lst")
    assert (done.code, done.err.splitlines()[0]) == (2, "error: unknown command 'lst'. Did you mean 'list'?")


def test_the_words_of_the_model_are_its_own():
    """What is written down twice, so that no command waits for the model to be imported."""
    assert rollouts.ENDED == alias_statuses.ENDED


def wait_for_watch(cluster):
    import time

    deadline = time.monotonic() + 60
    while not any(asked.query.get("watch") for asked in cluster.requests):
        assert time.monotonic() < deadline
        time.sleep(0.01)

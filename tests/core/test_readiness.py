"""What is true of a function, and what does its status say?"""

from datetime import date

import pytest

from lambent.core.readiness import (
    Findings,
    Problem,
    Revisions,
    StoredCode,
    blockage,
    creation_refused,
    malformed_status,
    same,
    status_of,
    write_wait,
)
from lambent.core.validity import find_problem
from lambent.model.conditions import Reason
from lambent.model.environments import EnvironmentPod, Key, PodFailure
from lambent.model.functions import FunctionObject, FunctionStatus

ARN = "arn:aws:lambda:eu-test-1:123456789012:function:f"
CODE = StoredCode("ab" * 32, "q6ur", 142)
REVISIONS = Revisions("rev1", "pod1")
GOOD = Findings(ARN, code=CODE, revisions=REVISIONS)
EARLIER, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z"


def function(status=None, generation=1, **spec):
    return FunctionObject.from_kubernetes(
        {
            "metadata": {"name": "f", "namespace": "a", "uid": "u", "generation": generation},
            "spec": {"runtime": "python3.11", "handler": "index.handler", "code": {"inline": "x"}, **spec},
            "status": status.model_dump(by_alias=True, mode="json", exclude_none=True) if status else {},
        }
    )


def shown(findings, before=None, generation=1, now=EARLIER):
    return status_of(function(before, generation), findings, now)


def said(status):
    """Conditions as {type: (status, reason)}."""
    return {each.type: (each.status, each.reason) for each in status.conditions}


NEW = FunctionStatus()
QUOTA = Problem(Reason.QUOTA_EXCEEDED, "exceeded quota")
BASE = {
    "CodeStored": ("True", "Stored"),
    "EnvironmentsHealthy": ("True", "Healthy"),
    "Active": ("False", "ScaledToZero"),
}
CONDITIONS = {
    "scaled to zero is healthy": (GOOD, {**BASE, "Ready": ("True", "Available")}),
    "running": (
        Findings(ARN, code=CODE, revisions=REVISIONS, running=2, serving=2),
        {**BASE, "Ready": ("True", "Available"), "Active": ("True", "EnvironmentsRunning")},
    ),
    "the code store is away": (
        Findings(ARN, code=Problem(Reason.CODE_STORE_UNAVAILABLE, "away")),
        {
            **BASE,
            "Ready": ("False", "CodeStoreUnavailable"),
            "Reconciling": ("True", "Progressing"),
            "CodeStored": ("False", "CodeStoreUnavailable"),
        },
    ),
    "the code is broken": (
        Findings(ARN, stalled=Problem(Reason.INVALID_CODE, "bad"), code=Problem(Reason.INVALID_CODE, "bad")),
        {
            **BASE,
            "Ready": ("False", "InvalidCode"),
            "Stalled": ("True", "InvalidCode"),
            "CodeStored": ("False", "InvalidCode"),
        },
    ),
    "the runtime is missing": (
        Findings(ARN, stalled=Problem(Reason.RUNTIME_NOT_INSTALLED, "no")),
        {
            "Ready": ("False", "RuntimeNotInstalled"),
            "Stalled": ("True", "RuntimeNotInstalled"),
            "EnvironmentsHealthy": ("True", "Healthy"),
            "Active": ("False", "ScaledToZero"),
        },
    ),
    "environments cannot be made": (
        Findings(ARN, code=CODE, revisions=REVISIONS, unhealthy=QUOTA),
        {**BASE, "Ready": ("False", "QuotaExceeded"), "EnvironmentsHealthy": ("False", "QuotaExceeded")},
    ),
    "no more of them can be made": (
        Findings(ARN, code=CODE, revisions=REVISIONS, unhealthy=QUOTA, running=1, serving=1),
        {
            **BASE,
            "Ready": ("True", "Available"),
            "EnvironmentsHealthy": ("False", "QuotaExceeded"),
            "Active": ("True", "EnvironmentsRunning"),
        },
    ),
    "those that run are of an old revision": (
        Findings(ARN, code=CODE, revisions=REVISIONS, unhealthy=QUOTA, running=1),
        {
            **BASE,
            "Ready": ("False", "QuotaExceeded"),
            "EnvironmentsHealthy": ("False", "QuotaExceeded"),
            "Active": ("True", "EnvironmentsRunning"),
        },
    ),
}


@pytest.mark.parametrize("row", CONDITIONS.values(), ids=CONDITIONS.keys())
def test_conditions_follow_from_what_was_found(row):
    """Reconciling and Stalled are there only when they are true."""
    assert said(shown(row[0])) == row[1]


def test_a_first_status_says_everything():
    """ARN, digests, sizes and times."""
    status = shown(GOOD)
    assert (status.observed_generation, status.function_arn) == (1, ARN)
    assert (status.code_sha256, status.code_size) == ("q6ur", 142)
    assert (status.revision, status.pod_revision) == ("rev1", "pod1")
    assert (status.last_modified, status.environments) == (EARLIER, 0)


def test_the_same_findings_make_the_same_status():
    """Times move only with what they stamp."""
    first = shown(GOOD)
    assert same(shown(GOOD, first, now=LATER), first)


def test_times_are_stamped_only_where_a_status_changed():
    """lastTransitionTime is when the status changed, not the reason."""
    first = shown(Findings(ARN, code=CODE, revisions=REVISIONS, unhealthy=QUOTA))
    other = Problem(Reason.UNSCHEDULABLE, "no node")
    second = shown(Findings(ARN, code=CODE, revisions=REVISIONS, unhealthy=other), first, now=LATER)
    assert {each.last_transition_time for each in second.conditions} == {EARLIER}
    third = shown(GOOD, second, now=LATER)
    moved = {each.type for each in third.conditions if each.last_transition_time == LATER}
    assert moved == {"Ready", "EnvironmentsHealthy"}


def test_last_modified_moves_with_the_revision_only():
    """As Lambda's LastModified."""
    first = shown(GOOD)
    pods_only = Findings(ARN, code=CODE, revisions=Revisions("rev1", "pod2"))
    assert shown(pods_only, first, now=LATER).last_modified == EARLIER
    published = Findings(ARN, code=CODE, revisions=Revisions("rev2", "pod2"))
    assert shown(published, first, now=LATER).last_modified == LATER


def test_gateways_are_not_shown_a_generation_whose_code_is_not_stored():
    """They route by observedGeneration and podRevision together: until the code is there, the old pair stands."""
    first = shown(GOOD)
    waiting = shown(Findings(ARN, code=Problem(Reason.CODE_STORE_UNAVAILABLE, "away")), first, generation=2)
    assert (waiting.observed_generation, waiting.revision, waiting.pod_revision) == (1, "rev1", "pod1")
    assert {each.observed_generation for each in waiting.conditions} == {2}


def test_a_finding_that_only_a_person_can_change_is_about_this_generation():
    """kubectl wait and Flux stop waiting."""
    stalled = shown(Findings(ARN, stalled=Problem(Reason.INVALID_SPEC, "no")), shown(GOOD), generation=2)
    assert stalled.observed_generation == 2
    assert stalled.revision == "rev1"


ACTIVE = Findings(ARN, code=CODE, revisions=REVISIONS, running=3, serving=3)
WRITES = {
    "nothing there yet": (NEW, GOOD, 1000.0, 0.0),
    "nothing new": (shown(GOOD), GOOD, 1000.0, None),
    "the order of conditions": (
        shown(GOOD).model_copy(update={"conditions": shown(GOOD).conditions[::-1]}),
        GOOD,
        1000.0,
        None,
    ),
    "a new revision": (shown(GOOD), Findings(ARN, code=CODE, revisions=Revisions("rev2", "pod2")), 0.1, 0.0),
    "trouble": (shown(GOOD), Findings(ARN, code=CODE, revisions=REVISIONS, unhealthy=QUOTA), 0.1, 0.0),
    "only samples, a while after the last write": (shown(GOOD), ACTIVE, 11.0, 0.0),
    "only samples, just after it": (shown(GOOD), ACTIVE, 4.0, 6.0),
}


@pytest.mark.parametrize("row", WRITES.values(), ids=WRITES.keys())
def test_a_status_is_written_when(row):
    """0 is now, a number is later, None is never."""
    before, findings, ago, expected = row
    assert write_wait(before, shown(findings, before, now=LATER), ago) == expected


def test_a_malformed_object_is_stalled_and_keeps_what_is_known():
    """It says why, and nothing else of it changes."""
    status = malformed_status(shown(GOOD), 2, "spec.timeout: too long", LATER)
    assert said(status) == {"Ready": ("False", "InvalidSpec"), "Stalled": ("True", "InvalidSpec")}
    assert (status.observed_generation, status.revision) == (2, "rev1")
    assert same(malformed_status(status, 2, "spec.timeout: too long", "2027-01-01T00:00:00Z"), status)


def test_messages_are_at_most_a_kilobyte():
    """What a status says is for people."""
    status = shown(Findings(ARN, stalled=Problem(Reason.INVALID_SPEC, "x" * 5000)))
    assert {len(each.message) for each in status.conditions if each.type in ("Ready", "Stalled")} == {1024}


def pod(reason, message="m", exit_code=None, **fields):
    failure = PodFailure(reason, message, exit_code) if reason else None
    return EnvironmentPod("a", "p", "u", Key("f", "latest", "r"), "n", "", blocked=failure, **fields)


BLOCKED = {
    "nothing": ([pod(None)], None),
    "no node": ([pod("Unschedulable")], Reason.UNSCHEDULABLE),
    "no image": ([pod("ImagePullBackOff")], Reason.IMAGE_PULL_FAILED),
    "no such image here": ([pod("ErrImageNeverPull")], Reason.IMAGE_PULL_FAILED),
    "a crash": ([pod("Error", exit_code=1, finished=True)], Reason.ENVIRONMENT_FAILED),
    "a container that cannot be made": ([pod("CreateContainerError")], Reason.ENVIRONMENT_FAILED),
    "ended in order": ([pod("Completed", exit_code=0, finished=True)], None),
    "used up its memory": ([pod("OOMKilled", exit_code=137, finished=True)], None),
    "on its way out": ([pod("Unschedulable", deleting=True)], None),
    "the gravest": ([pod("Unschedulable"), pod("Error", exit_code=1), pod("ErrImagePull")], Reason.ENVIRONMENT_FAILED),
}


@pytest.mark.parametrize("row", BLOCKED.values(), ids=BLOCKED.keys())
def test_pods_show_what_stands_in_the_way(row):
    """The gravest of all reasons."""
    problem = blockage(row[0])
    assert (problem and problem.reason) == row[1]


REFUSALS = {
    "a quota": ('pods "p" is forbidden: exceeded quota: q, requested: pods=1', None, Reason.QUOTA_EXCEEDED),
    "a limit range, at most": (
        'pods "p" is forbidden: maximum memory usage per Container is 512Mi, but limit is 1088Mi',
        None,
        Reason.QUOTA_EXCEEDED,
    ),
    "a limit range, at least": ("minimum cpu usage per Pod is 1, but request is 2m", None, Reason.QUOTA_EXCEEDED),
    "a limit range's ratio": (
        "cpu max limit to request ratio per Container is 2, but provided ratio is 10.000000",
        None,
        Reason.QUOTA_EXCEEDED,
    ),
    "a quota on limits": ("failed quota: q: must specify limits.cpu", None, Reason.QUOTA_EXCEEDED),
    "no such role": (
        'error looking up service account a/reader: serviceaccount "reader" not found',
        "reader",
        Reason.ROLE_NOT_FOUND,
    ),
    "not the role's fault": (
        'error looking up service account a/default: serviceaccount "default" not found',
        None,
        Reason.POD_REFUSED,
    ),
    "admission": ('violates PodSecurity "restricted:latest"', None, Reason.POD_REFUSED),
}


@pytest.mark.parametrize("row", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refused_pod_says_what_to_do(row):
    """The reason is ours, the message is the API server's."""
    message, account, reason = row
    problem = creation_refused("Forbidden", message, account)
    assert problem.reason == reason
    assert message in problem.message


RUNTIMES = ("python3.12", "python3.11")
TODAY = date(2026, 11, 28)
PROBLEMS = {
    "nothing": ({}, None, None, ""),
    "another object with its name": (
        {"functionName": "F"},
        "older",
        Reason.DUPLICATE_FUNCTION_NAME,
        "Function already exist: F (it is the older object older",
    ),
    "an image without its address": ({"packageType": "Image"}, None, Reason.INVALID_SPEC, "Please provide ImageUri"),
    "no runtime": (
        {"runtime": None},
        None,
        Reason.INVALID_SPEC,
        "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
    ),
    "a runtime that is not installed": (
        {"runtime": "python9"},
        None,
        Reason.RUNTIME_NOT_INSTALLED,
        "Value python9 at 'runtime' failed to satisfy constraint: "
        "Member must satisfy enum value set: [python3.11, python3.12] or be a valid ARN",
    ),
    "a runtime that Lambda takes no more": (
        {"runtime": "nodejs12.x"},
        None,
        Reason.RUNTIME_DEPRECATED,
        "The runtime parameter of nodejs12.x is no longer supported for creating or updating AWS Lambda functions. "
        "We recommend you use a supported runtime while creating or updating functions.",
    ),
    "a reserved name": (
        {"environment": {"variables": {"AWS_REGION": "x", "A_B": "1", "_HANDLER": "y"}}},
        None,
        Reason.INVALID_SPEC,
        "failed to satisfy constraint",
    ),
    "reserved names": (
        {"environment": {"variables": {"AWS_REGION": "x", "LAMBDA_TASK_ROOT": "y"}}},
        None,
        Reason.INVALID_SPEC,
        "Lambda was unable to configure your environment variables because the environment variables you have provided "
        "contains reserved keys that are currently not supported for modification. "
        "Reserved keys used in this request: AWS_REGION, LAMBDA_TASK_ROOT",
    ),
    "too much environment": (
        {"environment": {"variables": {"SECRET": "s3cr3t" * 700}}},
        None,
        Reason.INVALID_SPEC,
        "exceeded the 4KB limit. String measured: 4213 bytes",
    ),
}


@pytest.mark.parametrize("row", PROBLEMS.values(), ids=PROBLEMS.keys())
def test_what_can_never_work_is_said_in_lambdas_words(row):
    """And without the values, which may be secrets."""
    spec, older, reason, words = row
    problem = find_problem(function(**spec), RUNTIMES, "agent:1", older, TODAY)
    assert (problem and problem.reason) == reason
    assert problem is None or words in problem.message
    assert problem is None or "s3cr3t" not in problem.message


def test_the_environment_may_have_four_kilobytes_exactly():
    """Measured as compact JSON, as admission does."""
    room = 4096 - len('{"AB":""}')
    for size, fits in ((room, True), (room + 1, False)):
        full = function(environment={"variables": {"AB": "x" * size}})
        assert (find_problem(full, RUNTIMES, "", None, TODAY) is None) == fits


CALENDAR = {
    "a new one, the day before": ("python3.9", None, date(2027, 1, 31), Reason.RUNTIME_NOT_INSTALLED),
    "a new one, on the day": ("python3.9", None, date(2027, 2, 1), Reason.RUNTIME_DEPRECATED),
    "one that exists, between the days": ("python3.9", "0123", date(2027, 3, 2), Reason.RUNTIME_NOT_INSTALLED),
    "one that exists, on the last day": ("python3.9", "0123", date(2027, 3, 3), Reason.RUNTIME_DEPRECATED),
    "a new one whose block of creation is unknown": ("ruby3.4", None, date(2028, 5, 31), Reason.RUNTIME_DEPRECATED),
    "no known day": ("provided.al2", None, date(2040, 1, 1), Reason.RUNTIME_NOT_INSTALLED),
}


@pytest.mark.parametrize("row", CALENDAR.values(), ids=CALENDAR)
def test_lambdas_calendar_decides_of_runtimes_without_an_image(row):
    """A new function is refused earlier than one that exists."""
    runtime, revision, today, reason = row
    seen = function(runtime=runtime)
    seen = seen.model_copy(update={"status": seen.status.model_copy(update={"revision": revision})})
    assert find_problem(seen, RUNTIMES, "", None, today).reason == reason


def test_what_has_an_image_runs_whatever_lambdas_calendar_says():
    """Who hosts it decides for how long."""
    assert find_problem(function(runtime="nodejs12.x"), ("nodejs12.x",), "", None, TODAY) is None

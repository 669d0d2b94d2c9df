"""What does an execution environment's pod look like?"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.core.workload import (
    EnvironmentFacts,
    PodIdentity,
    Program,
    WorkloadSettings,
    cpu_limit_millicores,
    environment_pod,
    pod_name,
    starts_wide,
)
from lambent.model import names
from lambent.model.environments import EnvironmentPod, Key
from lambent.model.functions import FunctionObject

KEY = Key("uid-1", "latest", "0123456789abcdef")
FACTS = EnvironmentFacts(KEY, "registry/python:3.11")
IDENTITY = PodIdentity("hello-0a1b2c", "nonce", "hash")
IMAGE_FACTS = EnvironmentFacts(KEY, "registry/own@sha256:0", Program(("/entry", "cmd"), "/work"))
SETTINGS = WorkloadSettings(door_port=9000, agent_image="registry/agent:1")
GENEROUS = WorkloadSettings(door_port=9000, start_cpu_millicores=1000)


def function(name="hello", **spec):
    body = {
        "metadata": {"name": name, "namespace": "a", "uid": "uid-1", "generation": 1},
        "spec": {"runtime": "python3.11", "handler": "index.handler", "code": {"inline": "x"}, **spec},
    }
    return FunctionObject.from_kubernetes(body)


def pod(settings=SETTINGS, **spec):
    return environment_pod(function(**spec), FACTS, settings, IDENTITY)


def container(**spec):
    return pod(**spec)["spec"]["containers"][0]


def image_pod(facts=IMAGE_FACTS, settings=SETTINGS, **spec):
    image = {"runtime": None, "handler": None, "packageType": "Image", "code": {"imageUri": "registry/own:1"}}
    return environment_pod(function(**image, **spec), facts, settings, IDENTITY)["spec"]


def environment_of(container):
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


CPU = {
    "the least": (128, 72),
    "one vCPU at Lambda's mark": (1769, 1000),
    "linear": (3538, 2000),
    "rounded to the nearest": (512, 289),
    "the most memory": (10_240, 5789),
    "never over six": (20_000, 6000),
}


@pytest.mark.parametrize("row", CPU.values(), ids=CPU.keys())
def test_cpu_follows_memory(row):
    """One vCPU at 1,769 MB, linear, at most six."""
    assert cpu_limit_millicores(row[0]) == row[1]


RESOURCES = {
    "defaults": ({}, SETTINGS, ("192Mi", "72m", "7m", "1536Mi")),
    "more memory": ({"memorySize": 1769}, SETTINGS, ("1833Mi", "1000m", "100m", "1536Mi")),
    "a larger /tmp": ({"ephemeralStorage": {"size": 2048}}, SETTINGS, ("192Mi", "72m", "7m", "3072Mi")),
    "a larger allowance": ({}, WorkloadSettings(9000, agent_allowance_mb=100), ("228Mi", "72m", "7m", "1536Mi")),
    "CPU reserved, and the QoS class kept": (
        {},
        WorkloadSettings(9000, cpu_request_percent=100),
        ("192Mi", "72m", "71m", "1536Mi"),
    ),
    "a generous start": ({}, GENEROUS, ("192Mi", "1000m", "7m", "1536Mi")),
    "a generous start, CPU reserved": (
        {},
        WorkloadSettings(9000, cpu_request_percent=100, start_cpu_millicores=1000),
        ("192Mi", "1000m", "71m", "1536Mi"),
    ),
    "entitled to as much": ({"memorySize": 1769}, GENEROUS, ("1833Mi", "1000m", "100m", "1536Mi")),
    "entitled to more": ({"memorySize": 3538}, GENEROUS, ("3602Mi", "2000m", "200m", "1536Mi")),
    "/tmp in memory": (
        {"ephemeralStorage": {"size": 1024, "medium": "Memory"}},
        SETTINGS,
        ("1216Mi", "72m", "7m", "1024Mi"),
    ),
    "CPU hardly reserved": ({}, WorkloadSettings(9000, cpu_request_percent=1), ("192Mi", "72m", "1m", "1536Mi")),
}


@pytest.mark.parametrize("row", RESOURCES.values(), ids=RESOURCES.keys())
def test_resources_are_lambdas(row):
    """Memory is guaranteed, CPU is a share and may be more at first, storage is a cap."""
    spec, settings, (memory, cpu, request, storage) = row
    resources = pod(settings, **spec)["spec"]["containers"][0]["resources"]
    assert resources["limits"] == {"memory": memory, "cpu": cpu, "ephemeral-storage": storage}
    assert resources["requests"] == {"memory": memory, "cpu": request, "ephemeral-storage": "64Mi"}


def test_the_controller_reads_back_what_it_builds():
    """Labels and annotations are those that observers look for."""
    built = pod()
    built["metadata"]["uid"] = "pod-uid"
    seen = EnvironmentPod.from_kubernetes(built)
    assert seen is not None
    assert (seen.key, seen.nonce, seen.name, seen.running) == (KEY, "nonce", "hello-0a1b2c", False)
    wanted = dict(part.split("=") for part in names.ENVIRONMENT_SELECTOR.split(","))
    assert wanted.items() <= built["metadata"]["labels"].items()


WIDE = {
    "a small function": ({}, GENEROUS, (1000, 72, True)),
    "one that is entitled to as much": ({"memorySize": 1769}, GENEROUS, (1000, 1000, False)),
    "where nobody is generous": ({}, SETTINGS, (72, 72, False)),
}


@pytest.mark.parametrize("row", WIDE.values(), ids=WIDE.keys())
def test_a_pod_says_what_it_is_entitled_to(row):
    """So that it can be narrowed to it, whatever became of the function meanwhile."""
    spec, settings, expected = row
    built = pod(settings, **spec)
    built["metadata"]["uid"] = "pod-uid"
    seen = EnvironmentPod.from_kubernetes(built)
    assert (seen.cpu_limit, seen.cpu_entitled, seen.wide) == expected
    assert starts_wide(function(**spec).spec, settings) == seen.wide


def test_it_belongs_to_its_function():
    """Deleting the function deletes it, and drain does not refuse it."""
    assert pod()["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "lambent.dev/v1alpha1",
            "kind": "Function",
            "name": "hello",
            "uid": "uid-1",
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def test_it_holds_the_hash_of_its_token_and_nothing_else():
    """A function that reads its pod's environment learns nothing that opens a door."""
    assert container()["env"] == [{"name": "LAMBENT_TOKEN_SHA256", "value": "hash"}]


PARTS = {
    "never restarted": ("restartPolicy", {}, "Never"),
    "time to finish": ("terminationGracePeriodSeconds", {"timeout": 900}, 905),
    "no links to services": ("enableServiceLinks", {}, False),
    "Lambda's names for an environment": (
        "hostAliases",
        {},
        [{"ip": "127.0.0.1", "hostnames": ["sandbox.localdomain", "sandbox"]}],
    ),
    "no API token": ("automountServiceAccountToken", {}, False),
    "an API token for a role": ("automountServiceAccountToken", {"role": "reader"}, True),
    "the role's account": ("serviceAccountName", {"role": "arn:aws:iam::123456789012:role/reader"}, "reader"),
    "no account of its own": ("serviceAccountName", {}, None),
    "Intel": ("nodeSelector", {}, {"kubernetes.io/arch": "amd64"}),
    "Arm": ("nodeSelector", {"architectures": ["arm64"]}, {"kubernetes.io/arch": "arm64"}),
    "a short host name": ("hostname", {}, "0a1b2c"),
    "no deadline": ("activeDeadlineSeconds", {}, None),
    "nodes chosen, ours wins": (
        "nodeSelector",
        {"placement": {"nodeSelector": {"disk": "ssd", "kubernetes.io/arch": "arm64"}}},
        {"disk": "ssd", "kubernetes.io/arch": "amd64"},
    ),
    "tolerations": (
        "tolerations",
        {"placement": {"tolerations": [{"key": "gpu", "operator": "Exists", "tolerationSeconds": 5}]}},
        [{"key": "gpu", "operator": "Exists", "tolerationSeconds": 5}],
    ),
    "spread, by our own selector": (
        "topologySpreadConstraints",
        {"placement": {"topologySpreadConstraints": [{"topologyKey": "zone"}]}},
        [
            {
                "maxSkew": 1,
                "topologyKey": "zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"lambent.dev/function-uid": "uid-1"}},
            }
        ],
    ),
    "a priority": ("priorityClassName", {"placement": {"priorityClassName": "high"}}, "high"),
    "a sandbox": ("runtimeClassName", {"placement": {"runtimeClassName": "gvisor"}}, "gvisor"),
    "pull secrets": ("imagePullSecrets", {"placement": {"imagePullSecrets": ["s"]}}, [{"name": "s"}]),
}


@pytest.mark.parametrize("row", PARTS.values(), ids=PARTS.keys())
def test_the_pod_says(row):
    """Field by field."""
    field, spec, expected = row
    assert pod(**spec)["spec"].get(field) == expected


ALLOWED_VOLUMES = {"name", "emptyDir", "persistentVolumeClaim"}
LABELS = st.dictionaries(st.text("abc", min_size=1, max_size=5), st.text("abc", max_size=5), max_size=3)


@given(
    st.fixed_dictionaries(
        {
            "memorySize": st.integers(128, 10_240),
            "timeout": st.integers(1, 900),
            "ephemeralStorage": st.fixed_dictionaries(
                {"size": st.integers(512, 10_240), "medium": st.sampled_from(["Disk", "Memory"])}
            ),
            "fileSystemConfigs": st.sampled_from([[], [{"arn": "data", "localMountPath": "/mnt/a"}]]),
            "architectures": st.sampled_from([["x86_64"], ["arm64"]]),
            "role": st.sampled_from([None, "reader"]),
            "placement": st.one_of(
                st.none(),
                st.fixed_dictionaries({"nodeSelector": LABELS, "imagePullSecrets": st.lists(st.just("s"), max_size=1)}),
            ),
        }
    ),
    st.integers(1, 100),
    st.integers(0, 8000),
)
def test_every_pod_meets_pod_security_restricted(spec, percent, start):
    """No specification yields a pod that the namespace would refuse, or that asks for more than its limit."""
    settings = WorkloadSettings(9000, cpu_request_percent=percent, start_cpu_millicores=start)
    built = pod(settings, **spec)["spec"]
    assert built["securityContext"]["runAsNonRoot"] is True
    assert built["securityContext"]["runAsUser"] == 993
    assert built["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not built.keys() & {
        "hostNetwork",
        "hostPID",
        "hostIPC",
        "hostUsers",
        "initContainers",
        "ephemeralContainers",
    }
    assert all(volume.keys() <= ALLOWED_VOLUMES for volume in built["volumes"])
    [only] = built["containers"]
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    milli = {kind: int(only["resources"][kind]["cpu"].removesuffix("m")) for kind in ("limits", "requests")}
    entitled = cpu_limit_millicores(spec["memorySize"])
    assert 1 <= milli["requests"] < entitled <= milli["limits"] == max(entitled, start)


@given(st.from_regex(r"\A[a-z0-9]([-a-z0-9.]{0,250}[a-z0-9])?\Z"))
def test_names_are_names_whatever_the_function_is_called(name):
    """At most 63 characters, and no dot or hyphen before what is random."""
    made = pod_name(name, "0123456789")
    assert len(made) <= 63
    assert made.endswith("-0123456789")
    assert made.removesuffix("-0123456789")[-1:].isalnum()


def test_a_long_function_name_is_no_label():
    """Object names may have 253 characters, label values 63."""
    labels = environment_pod(function(name="x" * 200), FACTS, SETTINGS, IDENTITY)["metadata"]["labels"]
    assert all(len(value) <= 63 for value in labels.values())


def test_an_image_runs_under_the_agent_that_its_init_container_brought():
    """One command whatever the image says, and nothing of the image's is hidden but /tmp and /var/lambent."""
    built = image_pod()
    [agent], [container] = built["initContainers"], built["containers"]
    assert (agent["image"], agent["args"]) == ("registry/agent:1", ["/var/lambent"])
    assert agent["volumeMounts"] == [{"name": "agent", "mountPath": "/var/lambent"}]
    assert (container["image"], container["command"]) == ("registry/own@sha256:0", ["/var/lambent/agent"])
    assert "args" not in container
    assert container["workingDir"] == "/"
    assert container["volumeMounts"] == [
        {"name": "tmp", "mountPath": "/tmp"},
        {"name": "agent", "mountPath": "/var/lambent", "readOnly": True},
    ]
    assert [volume["name"] for volume in built["volumes"]] == ["tmp", "agent"]


def test_an_image_is_told_what_to_start():
    """ENTRYPOINT and CMD as JSON, the working directory; what the image sets for the agent is overruled."""
    variables = environment_of(image_pod()["containers"][0])
    assert json.loads(variables["LAMBENT_COMMAND"]) == ["/entry", "cmd"]
    assert variables["LAMBENT_WORKING_DIRECTORY"] == "/work"
    assert variables["LAMBENT_TOKEN_SHA256"] == "hash"


def test_the_pod_sets_every_setting_that_the_agent_reads():
    """So no ENV of an image steers its agent."""
    from pathlib import Path

    import lambent.agent.settings as agent

    source = Path(agent.__file__).read_text()
    read = {word for word in source.replace("(", '"').split('"') if word.startswith("LAMBENT_")}
    read = {name for name in read if name.isupper() and not name.endswith("_")}
    assert len(read) > 10
    assert read <= environment_of(image_pod()["containers"][0]).keys()


def test_a_dollar_sign_stays_a_dollar_sign():
    """Kubernetes replaces $(NAME) in values; a shell script among the arguments must reach the shell as it is."""
    facts = EnvironmentFacts(KEY, "i", Program(("sh", "-c", "echo $(LAMBENT_TOKEN_SHA256) $HOME $$"), "/$(A)"))
    variables = environment_of(image_pod(facts)["containers"][0])
    assert variables["LAMBENT_WORKING_DIRECTORY"] == "/$$(A)"
    assert json.loads(variables["LAMBENT_COMMAND"].replace("$$", "$")) == list(facts.program.arguments)


def test_the_init_container_counts_for_nothing():
    """The larger of init and environment counts, and both ask for the same."""
    for settings in (SETTINGS, WorkloadSettings(9000, agent_image="a", start_cpu_millicores=1000)):
        built = image_pod(settings=settings)
        assert built["initContainers"][0]["resources"] == built["containers"][0]["resources"]


def test_an_image_needs_storage_for_tmp_agent_and_logs():
    """/var/task and /opt are the image's own."""
    limits = image_pod(ephemeralStorage={"size": 1024})["containers"][0]["resources"]["limits"]
    assert limits["ephemeral-storage"] == f"{1024 + 32 + 64}Mi"


REFERRED = {
    "valueFrom": [
        {"name": "PASSWORD", "secretKeyRef": {"name": "db", "key": "password"}},
        {"name": "MODE", "configMapKeyRef": {"name": "settings", "key": "mode"}},
    ]
}


@pytest.mark.parametrize("package", ["Zip", "Image"])
def test_referred_variables_are_the_kubelets_to_read(package):
    """Under a name that the agent passes on without its prefix."""
    spec = {"environment": REFERRED}
    only = container(**spec) if package == "Zip" else image_pod(**spec)["containers"][0]
    variables = environment_of(only)
    assert variables["LAMBENT_VARIABLE_PASSWORD"] == {"secretKeyRef": {"name": "db", "key": "password"}}
    assert variables["LAMBENT_VARIABLE_MODE"] == {"configMapKeyRef": {"name": "settings", "key": "mode"}}


def volume_and_mount(built, name):
    """The volume of that name, and where the environment has it."""
    [volume] = [each for each in built["volumes"] if each["name"] == name]
    [mount] = [each for each in built["containers"][0]["volumeMounts"] if each["name"] == name]
    return volume, mount


EFS = "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/data"
FILE_SYSTEMS = {
    "by name": ({"arn": "data", "localMountPath": "/mnt/a"}, "data", False),
    "by ARN": ({"arn": EFS, "localMountPath": "/mnt/a"}, "data", False),
    "for reading": ({"arn": "data", "localMountPath": "/mnt/a", "readOnly": True}, "data", True),
}


@pytest.mark.parametrize("package", ["Zip", "Image"])
@pytest.mark.parametrize("row", FILE_SYSTEMS.values(), ids=FILE_SYSTEMS.keys())
def test_a_file_system_is_a_claim_that_environments_mount(row, package):
    """Where the function says, for whoever has the sandbox's group, without a walk through all its files."""
    system, claim, read_only = row
    spec = {"fileSystemConfigs": [system]}
    built = pod(**spec)["spec"] if package == "Zip" else image_pod(**spec)
    volume, mount = volume_and_mount(built, "file-system-0")
    assert volume["persistentVolumeClaim"] == {"claimName": claim, "readOnly": read_only}
    assert (mount["mountPath"], mount["readOnly"]) == ("/mnt/a", read_only)
    assert built["securityContext"]["fsGroup"] == 990
    assert built["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"


def test_the_agents_container_mounts_no_file_system():
    """What brings the agent into an image needs none."""
    built = image_pod(fileSystemConfigs=[{"arn": "data", "localMountPath": "/mnt/a"}])
    assert [mount["name"] for mount in built["initContainers"][0]["volumeMounts"]] == ["agent"]


def test_without_a_file_system_nothing_is_said_of_one():
    """So that pods of functions without one are as they were."""
    assert "fsGroupChangePolicy" not in pod()["spec"]["securityContext"]


@pytest.mark.parametrize("package", ["Zip", "Image"])
@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        ({"size": 600}, {"sizeLimit": "600Mi"}),
        ({"size": 600, "medium": "Disk"}, {"sizeLimit": "600Mi"}),
        ({"size": 600, "medium": "Memory"}, {"sizeLimit": "600Mi", "medium": "Memory"}),
    ],
    ids=["by default", "on disk", "in memory"],
)
def test_tmp_has_the_size_that_the_function_asks_for(storage, expected, package):
    """On disk the kubelet sees to it, in memory the kernel."""
    spec = {"ephemeralStorage": storage}
    built = pod(**spec)["spec"] if package == "Zip" else image_pod(**spec)
    volume, mount = volume_and_mount(built, "tmp")
    assert volume["emptyDir"] == expected
    assert mount["mountPath"] == "/tmp"


def test_a_tmp_in_memory_takes_no_storage_of_the_node():
    """What remains is for code or agent, and for the log."""
    storage = {"ephemeralStorage": {"size": 1024, "medium": "Memory"}}
    assert image_pod(**storage)["containers"][0]["resources"]["limits"]["ephemeral-storage"] == f"{32 + 64}Mi"


TOLD = {
    "as by default": (SETTINGS, None, None),
    "not to freeze": (WorkloadSettings(9000, agent_image="a", freeze=False), "0", None),
    "where logs go": (WorkloadSettings(9000, agent_image="a", log_sink="tcp://logs:1"), None, "tcp://logs:1"),
    "both": (WorkloadSettings(9000, agent_image="a", freeze=False, log_sink="tcp://l:1"), "0", "tcp://l:1"),
}


@pytest.mark.parametrize("package", ["Zip", "Image"])
@pytest.mark.parametrize("row", TOLD.values(), ids=TOLD.keys())
def test_agents_are_told_what_the_installation_wants(row, package):
    """To be left out is the default; an image that sets these itself is overruled."""
    settings, freeze, sink = row
    built = pod(settings)["spec"] if package == "Zip" else image_pod(settings=settings)
    entries = built["containers"][0]["env"]
    variables = environment_of(built["containers"][0])
    assert len({entry["name"] for entry in entries}) == len(entries)
    assert (variables.get("LAMBENT_FREEZE") or None, variables.get("LAMBENT_LOG_SINK") or None) == (freeze, sink)
    if package == "Image":
        assert {"LAMBENT_FREEZE", "LAMBENT_LOG_SINK"} <= variables.keys()

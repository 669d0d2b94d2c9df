"""What `down` finds of a pod's network when its sandbox could not be ended in order."""

import json

import pytest
from local import tearing_down

RESULT = {
    "kind": "cniCacheV1",
    "networkName": "lambent",
    "result": {
        "cniVersion": "1.0.0",
        "interfaces": [
            {"name": "lambent0", "mac": "6a:00:00:00:00:01"},
            {"name": "veth1", "mac": "6a:00:00:00:00:02"},
            {"name": "eth0", "mac": "6a:00:00:00:00:03", "sandbox": "/var/run/netns/cni-1803dc1d"},
        ],
    },
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (json.dumps(RESULT), ["/var/run/netns/cni-1803dc1d"]),
        (json.dumps({**RESULT, "result": None}), []),
        (json.dumps({"result": {"interfaces": [{"sandbox": "/proc/1/ns/net"}]}}), []),
        ("[]", []),
        ("not json", []),
    ],
)
def test_the_network_namespaces_of_a_result_are_found_and_nothing_else(text, expected):
    assert tearing_down.sandboxes(text) == expected

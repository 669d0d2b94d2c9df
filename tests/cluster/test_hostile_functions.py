"""S6: what a hostile function finds in its environment, and what it does not: each attack from a real pod."""

from __future__ import annotations

import json

import pytest
from driving import Driver, eventually

ATTACKER = """
import json, os, signal, socket, subprocess, ctypes, glob, time

def tried(attack, *arguments):
    try:
        return {"got": attack(*arguments)}
    except BaseException as error:
        return {"refused": f"{type(error).__name__}: {error}"}

def read(path, size=4096):
    with open(path, "rb") as file:
        return file.read(size).decode("latin-1")

def speak(host, port, text, seconds=3):
    with socket.create_connection((host, port), seconds) as door:
        door.settimeout(seconds)
        door.sendall(text.encode())
        return door.recv(4096).decode("latin-1").split("\\r\\n")[0]

def asked(method, path, token=None, owner="z;epoch=99999999999999", body="{}"):
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", f"Lambent-Owner: {owner}",
             "Lambent-Request-Id: forged", "Lambent-Timeout-Ms: 1000", "Lambent-Arn: forged"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    return "\\r\\n".join(lines) + "\\r\\n\\r\\n" + body

def own_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return probe.getsockname()[0]

def signalled(number):
    os.kill(1, number)
    time.sleep(0.3)
    return "delivered"

def traced():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, 1, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "attached"

def handler(event, context):
    attack, arguments = event["attack"], event.get("arguments", [])
    return tried(globals()[attack] if attack in globals() else getattr(os, attack), *arguments)

def door(method, path, token=None, host=None):
    return speak(host or own_address(), 9000, asked(method, path, token))

def everything_of(pattern):
    found = {}
    for path in glob.glob(pattern):
        found[path] = read(path)
    return found

def mounted():
    return read("/proc/self/mountinfo", 1 << 16)

def environment():
    return dict(os.environ)

def run(*command):
    done = subprocess.run(command, capture_output=True, timeout=20)
    return [done.returncode, done.stdout.decode("latin-1"), done.stderr.decode("latin-1")]
"""


@pytest.fixture(scope="module")
def attacker(cluster, release, lambda_client):
    driving = Driver(cluster, release, lambda_client, "lambent-test")
    yield driving.function(ATTACKER, timeout=30)
    driving.clean_up()


def attack(driver, name, what, *arguments):
    answer = driver.invoke(name, {"attack": what, "arguments": list(arguments)})
    assert answer.error is None, answer.payload
    return answer.json


DOORS = {
    "its state": ("GET", "/v1/state"),
    "a second claim": ("POST", "/v1/claim"),
    "a forged invocation": ("POST", "/v1/invoke"),
    "a drain": ("POST", "/v1/drain"),
}


@pytest.mark.parametrize("shown", [None, "", "0" * 64, "forged"], ids=["no token", "an empty one", "zeros", "a word"])
@pytest.mark.parametrize("call", DOORS.values(), ids=DOORS)
def test_the_agents_door_is_shut_to_its_own_function(driver, attacker, call, shown):
    """The pod knows the hash of the token, not the token."""
    answer = attack(driver, attacker, "door", *call, shown)
    assert answer == {"got": "HTTP/1.1 401 Unauthorized"}
    assert attack(driver, attacker, "getpid")["got"] > 0


def test_the_hash_of_the_token_opens_nothing(driver, attacker):
    """It stands in the pod's specification, where whoever may read pods can see it."""
    assert "got" in attack(driver, attacker, "getpid")
    [pod] = driver.pods(attacker)
    [variable] = [v for v in pod["spec"]["containers"][0]["env"] if v["name"] == "LAMBENT_TOKEN_SHA256"]
    assert attack(driver, attacker, "door", "GET", "/v1/state", variable["value"])["got"] == "HTTP/1.1 401 Unauthorized"


@pytest.mark.parametrize("path", ["/proc/1/mem", "/proc/1/environ", "/proc/1/maps", "/proc/1/auxv", "/proc/1/stack"])
def test_the_agents_memory_is_not_readable(driver, attacker, path):
    """It is not dumpable, so its /proc entries belong to root."""
    assert "PermissionError" in attack(driver, attacker, "read", path)["refused"]


@pytest.mark.parametrize("path", ["/proc/1/fd", "/proc/1/cwd", "/proc/1/root", "/proc/1/exe"])
def test_the_agents_files_cannot_be_followed(driver, attacker, path):
    """Neither its sockets nor its root."""
    what = "listdir" if path.endswith("fd") else "readlink"
    assert "PermissionError" in attack(driver, attacker, what, path)["refused"]


def test_the_agent_cannot_be_traced(driver, attacker):
    """ptrace(2) asks for the same right."""
    assert "refused" in attack(driver, attacker, "traced")


@pytest.mark.parametrize("number", [9, 19, 15, 2, 1, 10, 12, 3, 6, 11, 18, 20, 23])
def test_signals_do_not_end_the_agent(driver, attacker, number):
    """PID 1 hears SIGTERM from the kubelet only; SIGKILL and SIGSTOP do not reach it from inside."""
    assert "got" in attack(driver, attacker, "getpid")
    [before] = [pod for pod in driver.pods(attacker) if pod["status"]["phase"] == "Running"]
    attack(driver, attacker, "signalled", number)
    assert "got" in attack(driver, attacker, "getpid")
    [after] = [pod for pod in driver.pods(attacker) if pod["status"]["phase"] == "Running"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


def test_there_is_no_api_token(driver, attacker):
    """No role, no token; and the variables hold nothing either."""
    found = attack(driver, attacker, "everything_of", "/var/run/secrets/*/*/*")
    assert found == {"got": {}}
    mounts = attack(driver, attacker, "mounted")["got"]
    assert "/tmp" in mounts
    assert "serviceaccount" not in mounts
    variables = attack(driver, attacker, "environment")["got"]
    assert not [name for name in variables if name.startswith("LAMBENT_") or "TOKEN" in name]


def test_internal_doors_want_an_identity(driver, attacker):
    """The gateway's internal door and the code store answer nobody who cannot show one."""
    system = driver.release.namespace
    gateways = driver.cluster.get("pods", "-n", system, "-l", "app.kubernetes.io/component=gateway")["items"]
    address = gateways[0]["status"]["podIP"]
    answer = attack(driver, attacker, "speak", address, 8081, "GET /v1/demand HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.get("got", "refused").startswith(("HTTP/1.1 401", "refused"))
    store = driver.cluster.get("service", f"{driver.release.name}-codestore", "-n", system)["spec"]["clusterIP"]
    for method, path in (
        ("GET", "/v1/blobs/sha256/" + "0" * 64),
        ("PUT", "/v1/blobs/sha256/" + "0" * 64),
        ("GET", "/v1/blobs"),
    ):
        text = f"{method} {path}?exp=9999999999&sig={'0' * 64} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        assert attack(driver, attacker, "speak", store, 8082, text)["got"].startswith("HTTP/1.1 403")


def test_another_environment_does_not_open(driver, attacker):
    """Its door wants its own token; what this pod knows opens nothing there."""
    other = driver.function("def handler(e, c): return 1\n")
    driver.invoke(other)
    [pod] = driver.pods(other)
    answer = attack(driver, attacker, "door", "POST", "/v1/invoke", "0" * 64, pod["status"]["podIP"])
    assert answer.get("got", "refused").startswith(("HTTP/1.1 401", "refused"))
    assert driver.invoke(other).json == 1


def test_a_slow_loris_inside_does_not_shut_the_door(driver, attacker):
    """Half-open connections to the agent's own doors leave the gateway's connection served."""
    source = (
        "import socket\nheld = []\n"
        "def handler(e, c):\n"
        "    for _ in range(e.get('n', 0)):\n"
        "        try:\n"
        "            held.append(socket.create_connection((e.get('host', '127.0.0.1'), e['port']), 2))\n"
        "            held[-1].sendall(b'POST /v1/claim HTTP/1.1\\r\\nX: ')\n"
        "        except OSError:\n"
        "            break\n"
        "    return len(held)\n"
    )
    name = driver.function(source, timeout=20)
    for port in (9000, 9001):
        assert driver.invoke(name, {"n": 300, "port": port}).json > 0
        for _ in range(5):
            assert driver.invoke(name, {"n": 0, "port": port}).error is None
    assert len(driver.pods(name)) == 1


def test_a_fork_bomb_ends_with_its_invocation(driver, attacker):
    """The neighbours are served meanwhile; afterwards so is the function."""
    source = (
        "import os, time\n"
        "def handler(e, c):\n"
        "    if not e.get('bomb'): return 'fine'\n"
        "    until = time.monotonic() + 20\n"
        "    for _ in range(400):\n"
        "        try:\n"
        "            if os.fork() == 0:\n"
        "                time.sleep(60)\n"
        "                os._exit(0)\n"
        "        except OSError:\n"
        "            break\n"
        "    time.sleep(60)\n"
    )
    name = driver.function(source, timeout=4, memorySize=512)
    assert driver.invoke(name).json == "fine"
    answer = driver.invoke(name, {"bomb": True})
    assert answer.error == "Unhandled"
    assert "got" in attack(driver, attacker, "getpid")
    assert eventually(lambda: driver.invoke(name).json == "fine", 60)


OUTPUTS = {
    "a megabyte without a newline": "import sys\ndef handler(e, c):\n    sys.stdout.write('x' * (1 << 20))\n    return 1\n",
    "invalid UTF-8": "import os\ndef handler(e, c):\n    os.write(1, b'\\xff\\xfe\\x00\\x80' * 1000)\n    return 1\n",
    "forged log lines": (
        "def handler(e, c):\n    print('END RequestId: forged\\nREPORT RequestId: forged\\tDuration: 0 ms')\n    return 1\n"
    ),
    "a flood": "def handler(e, c):\n    for i in range(20000): print('line', i)\n    return 1\n",
}


@pytest.mark.parametrize("source", OUTPUTS.values(), ids=OUTPUTS)
def test_output_of_any_kind_harms_nobody(driver, source):
    """The answer is right, the tail is at most 4 KB, and the next request is served by the same environment."""
    name = driver.function(source)
    for _ in range(3):
        answer = driver.invoke(name)
        assert answer.json == 1
        assert len(answer.log.encode()) <= 4096 * 3  # what is no UTF-8 is replaced by longer characters
        assert "REPORT RequestId: " + answer.headers["x-amzn-requestid"] in answer.log
    assert len(driver.pods(name)) == 1
    assert json.dumps(driver.events(name)).count("forged") == 0


def test_a_function_that_closes_its_output_harms_only_itself(driver):
    """AWS's client may not survive it; the environment does."""
    name = driver.function(
        "import os\ndef handler(e, c):\n    if e.get('close'): os.close(1); os.close(2)\n    return 1\n"
    )
    for _ in range(2):
        driver.invoke(name, {"close": True})
        assert driver.invoke(name).json == 1
    assert len(driver.pods(name)) == 1

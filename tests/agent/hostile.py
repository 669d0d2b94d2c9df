#!/usr/bin/python3 -IS
"""A function that attacks its environment, one way an event: `{"do": "<way>"}`. Also its own runtime client."""

import ctypes
import errno
import http.client
import json
import os
import signal
import socket
import sys
import time

DOOR = int(os.environ.get("DOOR", "9000"))
HELD = []


def port():
    """Every call of the door, with every token one could think of."""
    answers = {}
    claim = {"claimId": "forged", "arn": "a", "functionName": "f", "version": "1", "revision": "r"}
    body = json.dumps({**claim, "timeoutMs": 1000, "memoryMb": 128})
    for token in (None, "Bearer forged", "Basic Zm9yZ2Vk"):
        for method, path in (("POST", "claim"), ("POST", "invoke"), ("POST", "drain"), ("GET", "state")):
            door = http.client.HTTPConnection("127.0.0.1", DOOR, timeout=5)
            headers = {"Lambent-Owner": "forged;epoch=99999999999999", "Lambent-Request-Id": "forged"}
            if token:
                headers["Authorization"] = token
            door.request(method, "/v1/" + path, body if method == "POST" else None, headers)
            answers[f"{token} {path}"] = door.getresponse().status
    return answers


def memory():
    """What /proc shows of PID 1, and ptrace."""
    answers = {}
    for name in ("mem", "environ", "maps", "smaps", "auxv", "stack", "syscall"):
        try:
            with open(f"/proc/1/{name}", "rb") as file:
                answers[name] = f"read {len(file.read(16))}"
        except OSError as error:
            answers[name] = errno.errorcode[error.errno]
    for name in ("fd", "map_files"):
        try:
            answers[name] = f"listed {len(os.listdir(f'/proc/1/{name}'))}"
        except OSError as error:
            answers[name] = errno.errorcode[error.errno]
    for name in ("exe", "cwd", "root"):
        try:
            answers[name] = os.readlink(f"/proc/1/{name}")
        except OSError as error:
            answers[name] = errno.errorcode[error.errno]
    libc = ctypes.CDLL(None, use_errno=True)
    seized = libc.ptrace(0x4206, 1, 0, 0) == 0  # PTRACE_SEIZE: as ATTACH, but an agent it succeeds on is not stopped
    answers["ptrace"] = "done" if seized else errno.errorcode[ctypes.get_errno()]
    return answers


def secrets():
    """What a function finds about its agent at home."""
    everything = json.dumps(dict(os.environ))
    return {"token": "TOKEN_SHA256" in everything, "lambent": [name for name in os.environ if "LAMBENT" in name]}


def signals():
    """Everything that has a number, to PID 1; then SIGTERM with a forged sender."""
    answers = {}
    for number in sorted(signal.valid_signals()):
        name = number.name if isinstance(number, signal.Signals) else str(number)
        try:
            os.kill(1, number)
            answers[name] = "sent"
        except OSError as error:
            answers[name] = errno.errorcode[error.errno]
    libc = ctypes.CDLL(None, use_errno=True)
    info = (ctypes.c_int * 32)(int(signal.SIGTERM), 0, -1, 0, 0)  # si_code SI_QUEUE, si_pid 0: as if from outside
    done = libc.syscall(129, 1, int(signal.SIGTERM), ctypes.byref(info))  # rt_sigqueueinfo on x86_64
    answers["forged SIGTERM"] = "sent" if done == 0 else errno.errorcode[ctypes.get_errno()]
    return answers


def hold():
    """Connections by the hundred: half a request on every other one."""
    runtime = int(os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")[1])
    for number in range(400):
        for target in (DOOR, runtime):
            held = socket.create_connection(("127.0.0.1", target))
            if number % 2:
                held.sendall(b"POST /v1/claim HTTP/1.1\r\nX: ")
            HELD.append(held)
    return {"door": 400, "runtime": 400}


def megabyte():
    """One line that never ends."""
    for _ in range(10):
        sys.stdout.write("m" * 100_000)
    sys.stdout.flush()


def unreadable():
    """Bytes that are no text."""
    os.write(1, b"\xff\xfe\x00\x1b[2J\xc3(\n")


def fork():
    """Hundreds of processes that will not go."""
    for _ in range(200):
        if os.fork() == 0:
            os.setsid()
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            time.sleep(1000)
    time.sleep(1000)


def fill():
    """/tmp to its end."""
    written = 0
    try:
        with open("/tmp/full", "wb") as file:
            while written < 600:
                file.write(b"x" * 1_048_576)
                written += 1
    except OSError as error:
        return errno.errorcode[error.errno]
    return written


def files():
    """Descriptors to the last one, kept."""
    try:
        while True:
            HELD.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        # The last few are needed to answer.
        for _ in range(8):
            os.close(HELD.pop())
        return [errno.errorcode[error.errno], HELD[-1] < 1024]


def bomb():
    """Processes to the last one: whoever can fork forks again."""
    while True:
        try:
            os.fork()
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
            time.sleep(0.01)


def processes():
    """How many there are."""
    return len([name for name in os.listdir("/proc") if name.isdigit()])


WAYS = {
    "port": port,
    "memory": memory,
    "secrets": secrets,
    "signals": signals,
    "hold": hold,
    "megabyte": megabyte,
    "bytes": unreadable,
    "fork": fork,
    "files": files,
    "bomb": bomb,
    "fill": fill,
    "processes": processes,
    "pid": os.getpid,
    "who": lambda: [os.getuid(), os.getgid(), os.getcwd()],
}


def call(api, method, path, body=None):
    """One call of the Runtime API, on a connection of its own where the kept one has gone."""
    try:
        api.request(method, "/2018-06-01/runtime/" + path, body)
        answer = api.getresponse()
    except (OSError, http.client.HTTPException):
        api.close()
        api.request(method, "/2018-06-01/runtime/" + path, body)
        answer = api.getresponse()
    return answer.headers, answer.read()


def main():
    """Runs until the environment ends."""
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        headers, event = call(api, "GET", "invocation/next")
        answer = WAYS[json.loads(event)["do"]]()
        request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        call(api, "POST", f"invocation/{request_id}/response", json.dumps(answer))


main()

"""Functions that bring their own bootstrap, and images where there is none."""

import pytest
from tests.agent.driving import claim_of, zipped

from lambent.agent.protocol.states import State

BOOTSTRAP = """#!/usr/bin/python3 -IS
import http.client, os
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def call(method, path, body=None):
    api.request(method, "/2018-06-01/runtime/" + path, body)
    answer = api.getresponse()
    return answer.headers, answer.read()
while True:
    headers, event = call("GET", "invocation/next")
    call("POST", "invocation/%s/response" % headers["Lambda-Runtime-Aws-Request-Id"], event + os.environ["_HANDLER"].encode())
"""


@pytest.mark.parametrize("place", ["task", "opt"])
async def test_a_bootstrap_is_found_in_the_function_or_in_a_layer(start, place):
    """/var/task/bootstrap first, else /opt/bootstrap; OS-only runtimes have no AWS_EXECUTION_ENV."""
    agent = start(managed=False)
    caller = await agent.connect()
    archive = zipped({"bootstrap": BOOTSTRAP}, ("bootstrap",))
    if place == "opt":
        (agent.opt_root / "bootstrap").write_text(BOOTSTRAP)
        (agent.opt_root / "bootstrap").chmod(0o755)
        archive = zipped({"data": "x"})
    claimed = await caller.claim(claim_of(archive, runtime="provided.al2023", handler="anything"))
    assert (claimed.state, claimed.error) == (State.IDLE, None)
    assert (await caller.invoke(b"in ")).body == b"in anything"


@pytest.mark.parametrize(
    ("files", "executable", "words"),
    [
        ({"data": "x"}, (), "Couldn't find valid bootstrap(s): [{root}/bootstrap {opt}/bootstrap]"),
        ({"bootstrap": BOOTSTRAP}, (), "fork/exec {root}/bootstrap: permission denied"),
        ({"bootstrap": "\x7fELF nonsense"}, ("bootstrap",), "fork/exec {root}/bootstrap: exec format error"),
        ({"bootstrap": "#!/no/such\n"}, ("bootstrap",), "fork/exec {root}/bootstrap: no such file or directory"),
    ],
    ids=["missing", "not executable", "no program", "no interpreter"],
)
async def test_an_entry_that_cannot_run_is_invalid(start, files, executable, words):
    """Runtime.InvalidEntrypoint at the claim and in each invocation."""
    agent = start(managed=False)
    caller = await agent.connect()
    message = words.format(root=agent.task_root, opt=agent.opt_root)
    claimed = await caller.claim(claim_of(zipped(files, executable), runtime="provided.al2023"))
    assert (claimed.error["errorType"], claimed.error["errorMessage"]) == ("Runtime.InvalidEntrypoint", message)
    answer = await caller.invoke(request_id="r1")
    assert answer.json() == {
        "errorType": "Runtime.InvalidEntrypoint",
        "errorMessage": f"RequestId: r1 Error: {message}",
    }


async def test_a_wrong_zip_fails_the_claim(start):
    """What was promised by digest is what is run, or nothing is."""
    caller = await start(managed=False).connect()
    archive = zipped({"bootstrap": BOOTSTRAP}, ("bootstrap",))
    claim = claim_of(archive)
    from dataclasses import replace

    claimed = await caller.claim(replace(claim, code=replace(claim.code, sha256="0" * 64)))
    assert (claimed.state, claimed.error["errorType"]) == (State.FAILED, "InvalidZipFileException")
    assert (await caller.invoke()).json()["errorType"] == "InvalidZipFileException"

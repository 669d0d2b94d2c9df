"""Layers of a claim: under /opt before anything of the function starts, in their order, within one limit with its code."""

import asyncio
import hashlib
import json

import pytest
from tests.agent.driving import claim_of, zipped

from lambent.agent import fetching
from lambent.agent.protocol.claims import Code
from lambent.agent.protocol.states import State
from lambent.agent.unpacking import BadArchive

SHOW = """
import json, os, subprocess, sys
root = os.environ["OPT"]
def handler(event, context):
    sys.path.insert(0, root + "/python")
    import helper
    tool = subprocess.run([root + "/bin/tool"], capture_output=True, text=True).stdout
    return {"value": helper.value, "other": helper.other(), "tool": tool, "writable": os.access(root + "/python", os.W_OK)}
"""


def code(archive: bytes) -> Code:
    return Code(hashlib.sha256(archive).hexdigest(), len(archive), inline=archive)


async def claimed(agent, layers, source="def handler(e, c): return 1", **more):
    caller = await agent.connect()
    claim = claim_of(
        zipped({"app.py": source}),
        layers=tuple(layers),
        env={"OPT": str(agent.opt_root)},
        initTimeoutMs=60_000,
        timeoutMs=60_000,
        **more,
    )
    return caller, await caller.claim(claim)


async def test_layers_are_merged_in_order_and_keep_what_is_executable(start):
    """The later one's file is the one that is imported; a program of a layer runs."""
    first = zipped({"python/helper.py": "value = 'first'", "bin/tool": "#!/bin/sh\necho ran"}, executable=("bin/tool",))
    second = zipped(
        {"python/helper.py": "from more import other\nvalue = 'second'", "python/more.py": "def other(): return 2"}
    )
    agent = start()
    caller, answer = await claimed(agent, [code(first), code(second)], SHOW)
    assert answer.state == State.IDLE, answer
    shown = json.loads((await caller.invoke(timeout_ms=60_000)).body)
    writable = shown.pop("writable")
    assert shown == {"value": "second", "other": 2, "tool": "ran\n"}
    assert writable is False or agent.opt_root.owner() == "root"
    await caller.close()


async def test_layers_come_from_the_code_store_as_code_does(start):
    """By URL, verified; one after the other."""
    archive = zipped({"python/helper.py": "value = 7"})
    asked = []

    async def answer(reader, writer):
        asked.append((await reader.readuntil(b"\r\n\r\n")).split(b" ")[1])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(archive) + archive)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/blobs/sha256/x"
        layer = Code(hashlib.sha256(archive).hexdigest(), len(archive), url=url)
        agent = start()
        caller, done = await claimed(agent, [layer])
        assert done.state == State.IDLE, done
        assert asked == [b"/v1/blobs/sha256/x"]
        assert (agent.opt_root / "python/helper.py").read_text() == "value = 7"
        await caller.close()


async def test_a_layer_that_is_not_the_promised_one_fails_the_init(start):
    """Nothing of the function ran."""
    archive = zipped({"a": "b"})
    caller, answer = await claimed(start(), [Code("0" * 64, len(archive), inline=archive)])
    assert (answer.state, answer.error["errorType"]) == (State.FAILED, "InvalidZipFileException")
    await caller.close()


@pytest.mark.parametrize(("sizes", "fits"), [((400, 300, 300), True), ((400, 300, 301), False)], ids=["fits", "over"])
def test_code_and_layers_share_one_limit(tmp_path, monkeypatch, sizes, fits):
    """The controller refuses it before; the agent counts what is really written, whatever the headers say."""
    monkeypatch.setattr(fetching, "MAX_UNZIPPED_BYTES", 1000)
    task, opt = tmp_path / "task", tmp_path / "opt"
    task.mkdir()
    opt.mkdir()
    one, two, own = (zipped({f"f{number}": bytes(size)}) for number, size in enumerate(sizes))
    claim = claim_of(own, layers=(code(one), code(two)))
    if fits:
        fetching.install(claim, str(task), str(opt))
        assert sorted(path.name for path in opt.iterdir()) == ["f0", "f1"]
        assert [path.name for path in task.iterdir()] == ["f2"]
    else:
        with pytest.raises(BadArchive, match="unzipped it is larger than 300 bytes"):
            fetching.install(claim, str(task), str(opt))

"""The client of the agent's door, against a scripted agent and against the real one."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.agent.driving import TOKEN, Agent, python
from tests.gateway.fake_agents import FakeAgent

from lambent.adapters.agents.connections import AgentConnection
from lambent.adapters.agents.doors import AgentDoor, Call
from lambent.adapters.agents.failures import AgentMisbehaved, AgentNotConnected, AgentUnavailable
from lambent.agent.protocol import names
from lambent.agent.protocol.owners import Owner
from lambent.agent.protocol.refusals import AlreadyClaimed, NotClaimed, StaleOwner, Unauthorized
from lambent.agent.protocol.states import State

OWNER = Owner(5, "gateway-a").to_header()
CLAIM = python("print('init')\ndef handler(event, context):\n    print('hi')\n    return event")


class Heard:
    """A listener that remembers, in order."""

    def __init__(self) -> None:
        self.events: list[tuple] = []
        self.over = asyncio.Event()

    def answered(self, head, body) -> None:
        self.events.append(("answered", head.status, body))

    def ended(self, trailers) -> None:
        self.events.append(("ended", trailers))
        self.over.set()

    def lost(self, error) -> None:
        self.events.append(("lost", error))
        self.over.set()


def call(event: bytes = b"{}", **changes) -> Call:
    fields = {
        "request_id": "id-1",
        "arn": "arn:aws:lambda:us-east-1:123456789012:function:hello",
        "timeout_ms": 3000,
        "trace": "Root=1-a-b",
        "client_context": None,
        "tail": False,
        "event": event,
    }
    return Call(**{**fields, **changes})


class Streamed(Heard):
    """One that takes what is no error as it comes."""

    def began(self, head) -> bool:
        self.events.append(("began", head.status))
        return head.status == 200 and names.FUNCTION_ERROR_KEY not in head.headers

    def took(self, piece) -> None:
        self.events.append(("took", piece))


@pytest.fixture
async def fake():
    agent = await FakeAgent(token=TOKEN).start()
    yield agent
    await agent.stop()


@pytest.fixture(params=["fake", "real"])
async def port(request, tmp_path):
    """The port of an agent, scripted or real: what follows holds for both."""
    if request.param == "fake":
        agent = await FakeAgent(token=TOKEN).start()
        yield agent.port
        await agent.stop()
    else:
        real = Agent(tmp_path)
        yield real.port
        real.stop()


@pytest.fixture
async def door(port):
    door = AgentDoor("127.0.0.1", port, TOKEN, lambda: None)
    await door.connect(5)
    yield door
    door.close()


async def invoke(door: AgentDoor, event: bytes = b"{}", **changes) -> list[tuple]:
    heard = Heard()
    door.invoke(call(event, **changes), OWNER, heard)
    async with asyncio.timeout(15):
        await heard.over.wait()
    return heard.events


async def test_an_environment_is_claimed_and_invoked_over_one_connection(door):
    """State, claim, invoke, again and again."""
    assert (await door.state(5)).state is State.GENERIC
    answer = await door.claim(CLAIM, OWNER, 15)
    assert (answer.claimId, answer.state, answer.error) == (CLAIM.claimId, State.IDLE, None)
    for number in range(5):
        events = await invoke(door, b'{"n":%d}' % number)
        assert (events[0][:2], json.loads(events[0][2])) == (("answered", 200), {"n": number})
        assert events[1][0] == "ended"
        assert float(events[1][1][names.DURATION_MS_KEY]) > 0
    state = await door.state(5)
    assert (state.state, state.epoch, state.owner) == (State.IDLE, 5, "gateway-a")


async def test_the_same_claim_is_answered_as_before_and_another_refused(door):
    """Overlapping gateways give the same claim id."""
    assert await door.claim(CLAIM, OWNER, 15) == await door.claim(CLAIM, OWNER, 15)
    from dataclasses import replace

    with pytest.raises(AlreadyClaimed) as refused:
        await door.claim(replace(CLAIM, claimId="other"), OWNER, 15)
    assert refused.value.details["claimId"] == CLAIM.claimId


async def test_an_older_owner_is_refused(door):
    """Typed, with the epoch to go beyond."""
    await door.claim(CLAIM, Owner(9, "z").to_header(), 15)
    with pytest.raises(StaleOwner) as refused:
        await door.claim(CLAIM, OWNER, 15)
    assert refused.value.details == {"epoch": 9, "owner": "z"}
    assert (await invoke(door))[0][:2] == ("answered", 409)


async def test_an_unclaimed_environment_refuses_invocations(door):
    """And the connection is good for the next question."""
    events = await invoke(door)
    assert events[0][:2] == ("answered", 409)
    assert NotClaimed.error_type.encode() in events[0][2]
    assert (await door.state(5)).state is State.GENERIC


async def test_the_log_tail_comes_as_a_trailer(door):
    """Only when asked for."""
    await door.claim(CLAIM, OWNER, 15)
    assert names.LOG_RESULT_KEY not in (await invoke(door))[1][1]
    assert (await invoke(door, tail=True))[1][1][names.LOG_RESULT_KEY]


async def test_a_drained_environment_answers_once_more(door):
    """Shut down as Lambda does."""
    await door.claim(CLAIM, OWNER, 15)
    await door.drain(OWNER, 10)


async def test_a_wrong_token_is_refused(port):
    """Typed as the agent words it."""
    door = AgentDoor("127.0.0.1", port, "wrong", lambda: None)
    await door.connect(5)
    with pytest.raises(Unauthorized):
        await door.state(5)
    door.close()


async def test_nobody_there_is_unavailable():
    """Refused connections and unroutable addresses alike."""
    with pytest.raises(AgentUnavailable):
        await AgentDoor("127.0.0.1", 1, "t", lambda: None).connect(1)
    door = AgentDoor("127.0.0.1", 1, "t", lambda: None)
    assert not door.usable
    with pytest.raises(AgentNotConnected):
        door.invoke(call(), OWNER, Heard())
    with pytest.raises(AgentNotConnected):
        await door.state(1)


async def test_silence_is_bounded_and_costs_the_connection(fake):
    """A late answer must not be read as the answer to the next question."""
    fake.init_seconds = 30
    lost = []
    door = AgentDoor("127.0.0.1", fake.port, TOKEN, lambda: lost.append(1))
    await door.connect(5)
    with pytest.raises(AgentUnavailable, match="did not answer within"):
        await door.claim(CLAIM, OWNER, 0.05)
    await asyncio.sleep(0.01)
    assert (door.usable, lost) == (False, [1])
    await door.connect(5)
    assert (await door.state(5)).state is State.INIT
    door.close()


@pytest.mark.parametrize(
    ("do", "kind", "answered"),
    [
        ("die", AgentUnavailable, False),
        ("garbage", AgentMisbehaved, False),
        ("partial", AgentUnavailable, False),
        ("oversized", AgentMisbehaved, False),
        ("die-late", AgentUnavailable, True),
    ],
)
async def test_a_broken_exchange_is_lost_exactly_once(fake, do, kind, answered):
    """The listener hears it last; the door redials."""
    fake.state = State.IDLE
    door = AgentDoor("127.0.0.1", fake.port, TOKEN, lambda: None)
    await door.connect(5)
    events = await invoke(door, b'{"do":"%b"}' % do.encode())
    assert [event[0] for event in events] == (["answered"] if answered else []) + ["lost"]
    assert type(events[-1][1]) is kind
    assert not door.usable
    await door.connect(5)
    assert (await door.state(5)).state
    door.close()


STREAMS = {
    "a body": ({"a": 1}, ["began", "took", "answered", "ended"]),
    "an error is whole": ({"do": "error"}, ["began", "answered", "ended"]),
    "a failure midway is told by the trailers alone": ({"do": "fail-midway"}, ["began", "took", "ended"]),
    "a body that breaks off": ({"do": "partial"}, ["began", "took", "lost"]),
}


@pytest.mark.parametrize(("event", "heard"), STREAMS.values(), ids=STREAMS)
async def test_an_answer_may_be_taken_as_it_comes(fake, event, heard):
    """The agent hears that it is wanted so; the connection is good for what follows a whole exchange."""
    fake.state = State.IDLE
    door = AgentDoor("127.0.0.1", fake.port, TOKEN, lambda: None)
    await door.connect(5)
    streamed = Streamed()
    door.stream(call(json.dumps(event).encode(), streaming=True), OWNER, streamed)
    async with asyncio.timeout(15):
        await streamed.over.wait()
    assert [each[0] for each in streamed.events] == heard
    assert fake.invocations()[0].headers[names.RESPONSE_MODE_KEY] == names.STREAMING
    if heard[-1] == "ended":
        assert json.loads((await invoke(door, b'{"n":1}'))[0][2]) == {"n": 1}
    door.close()


async def test_a_paused_answer_waits_and_the_next_one_is_not_paused(fake):
    """Whoever pauses need not care how the exchange ends."""
    fake.state = State.IDLE
    door = AgentDoor("127.0.0.1", fake.port, TOKEN, lambda: None)
    await door.connect(5)

    class Pausing(Streamed):
        def took(self, piece) -> None:
            super().took(piece)
            door.pause()

    paused = Pausing()
    door.stream(call(b'{"do":"slow-next","seconds":0.01}', streaming=True), OWNER, paused)
    while fake.state is not State.IDLE or not fake.invocations():
        await asyncio.sleep(0.005)
    assert not paused.over.is_set()
    door.resume()
    async with asyncio.timeout(15):
        await paused.over.wait()
    pausing_to_the_end = Pausing()
    door.stream(call(b'{"n":2}', streaming=True), OWNER, pausing_to_the_end)
    async with asyncio.timeout(15):
        await pausing_to_the_end.over.wait()
    assert json.loads((await invoke(door, b'{"n":3}'))[0][2]) == {"n": 3}
    door.close()


async def test_one_exchange_at_a_time(fake):
    """A second one is not queued: the caller would not know when it began."""
    fake.state = State.IDLE
    door = AgentDoor("127.0.0.1", fake.port, TOKEN, lambda: None)
    await door.connect(5)
    heard = Heard()
    door.invoke(call(b'{"do":"gate"}'), OWNER, heard)
    with pytest.raises(AgentNotConnected):
        door.invoke(call(), OWNER, Heard())
    door.abort("too slow")
    assert [event[0] for event in heard.events] == ["lost"]
    door.close()


def test_an_answer_over_its_announced_length_limit_is_not_read():
    """Content-Length is believed before a byte of the body is kept."""

    class Transport(asyncio.Transport):
        aborted = False

        def is_closing(self):
            return self.aborted

        def write(self, data):
            pass

        def abort(self):
            self.aborted = True

    connection, transport = AgentConnection(lambda: None), Transport()
    connection.connection_made(transport)

    class Listener:
        error = None

        def answered(self, head, body):
            raise AssertionError

        ended = answered

        def lost(self, error):
            self.error = error

    listener = Listener()
    connection.send(b"", listener, 10)
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello")
    assert transport.aborted
    assert isinstance(listener.error, AgentMisbehaved)


async def test_ipv6_addresses_are_written_as_hosts():
    """In brackets."""
    door = AgentDoor("fd00::1", 9000, "t", lambda: None)
    assert b"Host: [fd00::1]:9000\r\n" in door._invoke_head

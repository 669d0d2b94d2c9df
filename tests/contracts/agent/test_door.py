"""What holds at the door of any agent, real or stub."""

import asyncio
import json
import uuid
from dataclasses import replace

import pytest
from tests.agent.driving import OWNER, TOKEN, Answer, Caller

from lambent.agent.protocol import names
from lambent.agent.protocol.owners import Owner
from lambent.agent.protocol.states import EnvironmentState, State


def refusal(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json()["errorType"]


async def test_state_of_an_unclaimed_environment_is_generic(caller):
    """Nobody has spoken: no claim, no owner, epoch 0."""
    assert await caller.state() == EnvironmentState(State.GENERIC, None, None, None, 0)


async def test_a_claim_makes_it_idle_and_says_how_init_went(caller, echo):
    """The answer names the claim, the time init took and what init wrote."""
    answer = await caller.claim(echo)
    assert (answer.claimId, answer.state, answer.error) == (echo.claimId, State.IDLE, None)
    assert answer.initMs > 0
    state = await caller.state()
    assert (state.state, state.claimId, state.revision) == (State.IDLE, echo.claimId, echo.revision)
    assert (state.epoch, state.owner) == (OWNER.epoch, OWNER.gateway)


async def test_the_same_claim_again_is_answered_as_the_first_time(agent, claimed, echo):
    """A gateway that lost the answer asks again, on another connection too."""
    other = await agent.connect()
    assert await other.claim(echo) == await claimed.claim(echo)


async def test_a_repeated_claim_waits_for_the_first(agent, caller, echo):
    """Both answers are the same although the second came while init was running."""
    other = await agent.connect()
    first, second = await asyncio.gather(caller.claim(echo), other.claim(echo))
    assert first == second


async def test_another_claim_is_refused(claimed, echo):
    """An environment is claimed once in its life."""
    answer = await claimed.call(b"POST", names.CLAIM_PATH, replace(echo, claimId="another").to_json())
    assert refusal(answer) == (409, "AlreadyClaimed")
    assert answer.json()["claimId"] == echo.claimId


async def test_an_invocation_is_answered_with_the_runtimes_bytes(claimed):
    """The body is the response as the runtime wrote it, without error header."""
    answer = await claimed.invoke({"message": "grüezi"})
    assert (answer.status, answer.json(), answer.error) == (200, {"message": "grüezi"}, None)


async def test_trailers_carry_the_figures(claimed):
    """Duration, billed duration and memory always; init only the first time; log only on request; no state when idle."""
    first, second = await claimed.invoke(), await claimed.invoke()
    for answer in (first, second):
        assert float(answer.trailers[names.DURATION_MS_KEY]) > 0
        assert int(answer.trailers[names.MAX_MEMORY_MB_KEY]) >= 0
        assert answer.trailer(names.LOG_RESULT_KEY) is None
        assert answer.trailer(names.STATE_KEY) is None
    assert float(first.trailers[names.INIT_MS_KEY]) > 0
    assert second.trailer(names.INIT_MS_KEY) is None
    total = float(first.trailers[names.DURATION_MS_KEY]) + float(first.trailers[names.INIT_MS_KEY])
    assert abs(int(first.trailers[names.BILLED_MS_KEY]) - total) <= 1


async def test_the_trailers_arrival_means_idle(claimed):
    """The next invocation on the same or another connection is accepted from then on."""
    for number in range(20):
        assert (await claimed.invoke({"n": number}, request_id=f"r{number}")).json() == {"n": number}


async def test_the_body_is_complete_before_the_trailers(claimed):
    """The announced trailers are named in the head, and the body's end is seen on its own."""
    claimed.send_invoke({"a": 1})
    head, body = await claimed.head_and_body()
    assert head.headers[b"transfer-encoding"] == b"chunked"
    assert names.DURATION_MS in head.headers[b"trailer"]
    assert json.loads(body) == {"a": 1}
    await claimed.event()


async def test_an_error_of_the_function_is_200_with_its_header(claimed):
    """Lambda's rule: always Unhandled, the payload is what the runtime reported."""
    answer = await claimed.invoke({"raise": True})
    assert (answer.status, answer.error) == (200, b"Unhandled")
    assert (answer.json()["errorType"], answer.json()["errorMessage"]) == ("ValueError", "as asked")


async def test_a_log_tail_comes_on_request(claimed):
    """START, END and REPORT of this invocation, nothing of the one before."""
    await claimed.invoke(request_id="before")
    log = (await claimed.invoke(request_id="now", Lambent_Log_Type="Tail")).log
    assert log.startswith(b"START RequestId: now Version: $LATEST\n")
    assert b"\nREPORT RequestId: now\tDuration: " in log
    assert b"before" not in log
    assert len(log) <= 4096


async def test_who_asks_for_a_stream_gets_a_whole_response_where_the_function_does_not_stream(claimed):
    """The same answer as ever, an error with its header before the body."""
    answer = await claimed.invoke({"a": 1}, Lambent_Response_Mode="streaming")
    assert (answer.json(), answer.error) == ({"a": 1}, None)
    assert (await claimed.invoke({"raise": True}, Lambent_Response_Mode="streaming")).error == b"Unhandled"


async def test_one_invocation_at_a_time_whoever_asks(agent, claimed):
    """A busy environment refuses the second caller and says that it is busy."""
    other = await agent.connect()
    claimed.send_invoke({"sleep": 0.3}, request_id="long-one")
    while (await other.state()).state is not State.BUSY:
        await asyncio.sleep(0.005)
    assert (await other.state()).requestId == "long-one"
    answer = await other.invoke()
    assert refusal(answer) == (409, "NotIdle")
    assert answer.json()["state"] == "busy"
    assert (await claimed.answer()).status == 200


async def test_nothing_is_invoked_before_the_claim(caller):
    """There is no function yet."""
    assert refusal(await caller.invoke()) == (409, "NotClaimed")


OWNERS = {
    "a lower epoch is stale": (Owner(5, "b"), Owner(4, "z"), 409),
    "the same owner is heard": (Owner(5, "b"), Owner(5, "b"), 200),
    "a higher epoch takes over": (Owner(5, "b"), Owner(6, "a"), 200),
    "of equal epochs the larger gateway wins": (Owner(5, "b"), Owner(5, "c"), 200),
    "of equal epochs the smaller gateway is stale": (Owner(5, "b"), Owner(5, "a"), 409),
}


@pytest.mark.parametrize(("first", "second", "status"), OWNERS.values(), ids=OWNERS)
async def test_the_agent_arbitrates_between_owners(claimed, first, second, status):
    """Two gateways that both believe they own can waste a request, never double-use an environment."""
    assert (await claimed.call(b"GET", names.STATE_PATH, owner=first)).status == 200
    answer = await claimed.call(
        b"POST", names.INVOKE_PATH, b"{}", owner=second, Lambent_Request_Id="r", Lambent_Timeout_Ms=3000
    )
    assert answer.status == status
    if status == 409:
        assert answer.json()["errorType"] == "StaleOwner"
        assert (answer.json()["epoch"], answer.json()["owner"]) == (first.epoch, first.gateway)


BAD_CALLS = {
    "no token": (b"GET", names.STATE_PATH, b"", {"token": None}, (401, "Unauthorized")),
    "wrong token": (b"GET", names.STATE_PATH, b"", {"token": "guess"}, (401, "Unauthorized")),
    "the hash as token": (b"POST", names.CLAIM_PATH, b"{}", {"token": "0" * 64}, (401, "Unauthorized")),
    "unknown path": (b"GET", b"/v1/nothing", b"", {}, (404, "NotFound")),
    "wrong method": (b"POST", names.STATE_PATH, b"", {}, (405, "MethodNotAllowed")),
    "no owner": (b"POST", names.CLAIM_PATH, b"{}", {"owner": None}, (400, "BadRequest")),
    "claim without fields": (b"POST", names.CLAIM_PATH, b"{}", {}, (400, "BadRequest")),
    "claim that is no JSON": (b"POST", names.CLAIM_PATH, b"{", {}, (400, "BadRequest")),
    "event too large": (b"POST", names.INVOKE_PATH, b"x" * 6_291_457, {}, (413, "TooLarge")),
}


@pytest.mark.parametrize(("method", "path", "body", "more", "expected"), BAD_CALLS.values(), ids=BAD_CALLS)
async def test_a_bad_call_gets_its_error(caller, method, path, body, more, expected):
    """Each with Lambda-style JSON; the environment stays generic."""
    assert refusal(await caller.call(method, path, body, **more)) == expected


async def test_a_largest_event_passes(claimed):
    """6,291,456 bytes in and out again."""
    event = b'"' + b"x" * (6_291_456 - 2) + b'"'
    assert (await claimed.invoke(event, timeout_ms=20000)).body == event


SMUGGLING = {
    "both lengths": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "two equal lengths": b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "signed length": b"Content-Length: +5\r\n\r\nhello",
    "list of lengths": b"Content-Length: 5, 5\r\n\r\nhello",
    "unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n",
    "stacked codings": b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    "space before colon": b"Content-Length : 5\r\n\r\nhello",
    "folded line": b"X: a\r\n b: c\r\n\r\n",
    "bare line feed": b"X: a\nContent-Length: 5\r\n\r\n",
    "bare carriage return": b"X: a\rContent-Length: 5\r\n\r\n",
    "NUL in a value": b"X: a\0b\r\n\r\n",
    "no name": b": value\r\n\r\n",
    "chunk size with sign": b"Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n",
    "chunk longer than its size": b"Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
    "endless head": b"X: " + b"a" * 70_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("rest", SMUGGLING.values(), ids=SMUGGLING)
async def test_what_two_parsers_could_read_differently_is_refused(agent, rest):
    """The answer is an error, the connection is closed, and what followed is not taken for a request."""
    caller: Caller = await agent.connect()
    start = b"POST /v1/drain HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %b\r\nLambent-Owner: g;epoch=1\r\n"
    follow = b"GET /v1/state HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %b\r\n\r\n"
    caller.writer.write((start % TOKEN.encode()) + rest + (follow % TOKEN.encode()))
    answer = await caller.answer()
    assert answer.status in {400, 431, 501}
    with pytest.raises((EOFError, ConnectionResetError)):
        await caller.answer()
    assert (await (await agent.connect()).state()).state is State.GENERIC


async def test_requests_may_be_pipelined(claimed):
    """They are answered one after the other, in their order."""
    ids = [str(uuid.uuid4()) for _ in range(3)]
    for request_id in ids:
        claimed.send_invoke({"id": request_id}, request_id=request_id)
    assert [(await claimed.answer()).json()["id"] for _ in ids] == ids


async def test_drain_finishes_the_invocation_and_then_ends(agent, claimed):
    """A busy environment finishes, takes nothing new meanwhile, and exits with 0."""
    other, third = await agent.connect(), await agent.connect()
    claimed.send_invoke({"sleep": 0.3})
    while (await other.state()).state is not State.BUSY:
        await asyncio.sleep(0.005)
    other.send(b"POST", names.DRAIN_PATH)
    while not (await third.state()).draining:
        await asyncio.sleep(0.005)
    assert refusal(await third.invoke()) == (409, "NotIdle")
    assert (await claimed.answer()).json() == {"sleep": 0.3}
    assert (await other.answer()).status == 200
    assert await asyncio.to_thread(agent.process.wait, 5) == 0

"""Which spans a gateway records of its invocations."""

from __future__ import annotations

import asyncio

import pytest
from tests.gateway.clusters import function

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled={}"


class Recorder:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.spans = []

    def record(self, span) -> None:
        self.spans.append(span)

    def phases(self) -> list[list[str]]:
        return [[phase.name for phase in span.phases] for span in self.spans]


@pytest.fixture
async def recorded(make_house):
    """A gateway with a function whose invocations are traced; nothing runs yet."""
    house = await make_house(spans=Recorder())
    house.spans = house.gateway._outside.spans
    house.hello = house.cluster.apply(function())
    return house


async def invoke(house, event, sampled: int = 1):
    answer = await house.invoke(event, X_Amzn_Trace_Id=TRACE.format(sampled))
    await house.eventually(lambda: not house.gateway.environments.running)
    return answer


async def test_a_cold_start_has_all_phases_and_a_warm_one_its_own(recorded):
    """Who waits for an environment sees how it was made; who finds one waits for nothing."""
    cold = asyncio.create_task(invoke(recorded, {"n": 1}))
    await recorded.waiting(recorded.hello)
    await recorded.agent(recorded.hello, init_seconds=0.02)
    await cold
    await invoke(recorded, {"n": 2})
    assert recorded.spans.phases() == [["queue", "claim", "init", "invoke"], ["invoke"]]
    first, second = recorded.spans.spans
    queue, claim, init, run = first.phases
    assert (
        first.whole.begin == queue.begin <= claim.begin <= claim.end == init.begin < init.end <= queue.end == run.begin
    )
    assert (first.whole.name, first.whole.end) == ("hello", run.end)
    assert init.end - init.begin == pytest.approx(0.02)
    assert (f"{first.trace_id:032x}", f"{first.parent_id:016x}") == (
        "5759e988bd862e3fe1be46a994272793",
        "53995c3f42cd8ad8",
    )
    assert (first.attributes["faas.coldstart"], second.attributes["faas.coldstart"]) == (True, False)
    assert first.attributes["k8s.pod.name"] == "pod-1"


async def test_who_waits_for_a_busy_environment_was_only_queued(recorded):
    """It was made for somebody else, long before."""
    agent = await recorded.agent(recorded.hello)
    await recorded.idle(recorded.hello)
    first = asyncio.create_task(invoke(recorded, {"do": "gate"}))
    await recorded.eventually(lambda: recorded.pool(recorded.hello).in_flight == 1)
    second = asyncio.create_task(invoke(recorded, {"n": 2}))
    await recorded.waiting(recorded.hello)
    agent.gate.set()
    await asyncio.gather(first, second)
    assert recorded.spans.phases() == [["invoke"], ["queue", "invoke"]]


OUTCOMES = {"echo": "", "error": "function_error", "die": "service_error"}


@pytest.mark.parametrize(("do", "error"), OUTCOMES.items())
async def test_a_span_says_how_it_went(recorded, do, error):
    """In the metrics' words."""
    await recorded.agent(recorded.hello)
    await recorded.idle(recorded.hello)
    await invoke(recorded, {"do": do})
    assert [span.error for span in recorded.spans.spans] == [error]


async def test_a_stream_that_fails_midway_is_an_error(recorded):
    """Although its client has had the head of a good answer."""
    await recorded.agent(recorded.hello)
    await recorded.idle(recorded.hello)
    url = recorded.url("public", "/2021-11-15/functions/hello/response-streaming-invocations")
    headers = {"X-Amzn-Trace-Id": TRACE.format(1)}
    async with recorded.session.post(url, data=b'{"do":"fail-midway"}', headers=headers) as answer:
        assert (answer.status, b"Runtime.X" in await answer.read()) == (200, True)
    assert [span.error for span in recorded.spans.spans] == ["function_error"]


async def test_only_what_is_sampled_is_recorded(recorded):
    """By the caller's word, or the function's mode."""
    await recorded.agent(recorded.hello)
    await recorded.idle(recorded.hello)
    await invoke(recorded, {"n": 1}, sampled=0)
    await recorded.invoke({"n": 2})
    assert recorded.spans.spans == []

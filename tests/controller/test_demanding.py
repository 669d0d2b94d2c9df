"""What gateways say, and what is made of it when they fall silent."""

import asyncio

import pytest
from tests.controller.rooms import Clock

from lambent.controller import demanding
from lambent.controller.demanding import DemandBoard, DemandListener
from lambent.model.environments import Demand, IdleEnvironment, Key
from lambent.model.errors import Unavailable
from lambent.wire.demand import encode_demand

KEY = Key("f", "latest", "r")
KEY_SCOPE = ("f", "latest")
ONE, TWO = "http://one", "http://two"


def demand(**fields):
    fields = {"in_flight": 0, "waiting": 0, "starting": 0, "idle": (), **fields}
    return Demand(seq=1, key=KEY, **fields)


@pytest.fixture
def nudged():
    return []


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def board(nudged, clock):
    return DemandBoard(nudged.append, clock)


def test_the_same_word_again_refreshes_and_does_not_nudge(board, nudged, clock):
    """Once a second per key would be a lot of nothing."""
    for _ in range(5):
        clock.now += 1
        board.note(ONE, demand(in_flight=1, idle=(IdleEnvironment("a/p", int(clock.now)),)))
    assert nudged == [KEY_SCOPE]
    assert [report.at for report in board.reports(KEY_SCOPE)] == [clock.now]
    board.note(ONE, demand(in_flight=2))
    assert nudged == [KEY_SCOPE, KEY_SCOPE]


def test_pods_are_named_as_the_controller_knows_them(board):
    """Gateways say namespace/name."""
    board.note(ONE, demand(idle=(IdleEnvironment("a/p", 5),)))
    assert board.reports(KEY_SCOPE)[0].demand.idle == (IdleEnvironment("p", 5),)


def test_a_word_counts_for_fifteen_seconds(board, clock):
    """Then nobody stands behind it."""
    board.note(ONE, demand(waiting=1))
    clock.now += 15
    assert len(board.reports(KEY_SCOPE)) == 1
    clock.now += 0.1
    assert board.reports(KEY_SCOPE) == ()


def test_gateways_are_heard_when_all_are_connected_or_long_gone(board, clock):
    """In doubt nothing is taken away."""
    assert not board.heard()  # nobody to ask
    board.expect(ONE)
    assert not board.heard()
    board.found(ONE)
    assert board.heard()
    board.expect(TWO)
    assert not board.heard()  # it exists, and what it does is not known yet
    board.found(TWO)
    assert board.heard()
    board.lose(TWO)
    assert not board.heard()
    assert board.unreachable()
    clock.now += 16
    assert board.heard()
    board.forget(TWO)
    assert not board.unreachable()


class Source:
    """Streams that a test writes into."""

    def __init__(self):
        self.streams = {}
        self.away = set()

    async def demand(self, url, silence):
        if url in self.away:
            raise Unavailable("away")
        queue = self.streams[url] = asyncio.Queue()
        yield b""
        while True:
            line = await queue.get()
            if line is None:
                return
            yield line


@pytest.fixture
def fast(monkeypatch):
    monkeypatch.setattr(demanding, "RECONNECT_SECONDS", (0.01, 0.02))


async def test_a_stream_is_kept_to_every_gateway_there_is(board, fast):
    """Broken ones are dialled again, those of gateways that left are closed."""
    source = Source()
    listener = DemandListener(board, source)
    listener.set_gateways([ONE, TWO])
    await asyncio.sleep(0.01)
    assert sorted(board.connected()) == [ONE, TWO]
    source.streams[ONE].put_nowait(encode_demand(demand(waiting=2)))
    await asyncio.sleep(0.01)
    assert board.reports(KEY_SCOPE)[0].demand.waiting == 2
    source.streams[ONE].put_nowait(None)
    await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    assert sorted(board.connected()) == [ONE, TWO]
    listener.set_gateways([TWO])
    await asyncio.sleep(0.01)
    assert board.connected() == [TWO]
    assert len(board.reports(KEY_SCOPE)) == 1  # its last word counts for a while
    await listener.close()


async def test_nonsense_breaks_the_stream_and_nothing_else(board, fast):
    """A peer that does not speak the protocol is dialled again."""
    source = Source()
    listener = DemandListener(board, source)
    listener.set_gateways([ONE])
    await asyncio.sleep(0.01)
    source.streams[ONE].put_nowait(b"<html>")
    await asyncio.sleep(0.05)
    source.streams[ONE].put_nowait(encode_demand(demand(waiting=1)))
    await asyncio.sleep(0.01)
    assert len(board.reports(KEY_SCOPE)) == 1
    await listener.close()


async def test_a_gateway_that_is_away_is_dialled_until_it_answers(board, fast):
    """Endpoints are listed before the process listens."""
    source = Source()
    source.away.add(ONE)
    listener = DemandListener(board, source)
    listener.set_gateways([ONE])
    await asyncio.sleep(0.03)
    assert board.connected() == []
    source.away.clear()
    await asyncio.sleep(0.05)
    assert board.connected() == [ONE]
    await listener.close()

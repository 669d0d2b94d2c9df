"""Events reach a consumer in order, in batches, within bounds, and a consumer that does not keep up is told what it lost."""

import asyncio
import json

import pytest
from tests.agent.consuming import Consumer

from lambent.agent import deliveries
from lambent.agent.deliveries import SLOW, Delivery
from lambent.agent.destinations import Destination
from lambent.agent.subscriptions import Buffering


def told_drops(records, size, reason):
    return json.dumps([records, size, reason]).encode()


@pytest.fixture
async def deliver():
    """Starts deliveries and ends them."""
    started = []

    def begin(port, *, path="/x", buffering=None, method="POST"):
        to = Destination("127.0.0.1", port, path, method, f"sandbox:{port}")
        started.append(Delivery(to, buffering or Buffering(1000, 262_144, 25), told_drops))
        return started[-1]

    yield begin
    for delivery in started:
        delivery.close()


async def test_a_batch_is_one_json_array(deliver):
    """POSTed to the path that was asked for, on one connection, in order."""
    consumer = await Consumer().open()
    delivery = deliver(consumer.port, path="/a?b")
    for start in (0, 5):
        for number in range(start, start + 5):
            delivery.add(b"%d" % number)
        await consumer.until(lambda batches: sum(map(len, batches)) == start + 5)
    assert consumer.batches == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert consumer.connections == 1
    [first, *_] = consumer.heads
    assert first.startswith(b"POST /a?b HTTP/1.1\r\n")
    assert b"Host: sandbox:%d\r\n" % consumer.port in first
    assert b"Content-Type: application/json\r\n" in first


async def test_tcp_gets_a_line_an_event(deliver):
    """NDJSON, with a newline at the end."""
    consumer = Consumer()
    await consumer.open(consumer.serve_tcp)
    delivery = deliver(consumer.port, path="")
    for number in range(5):
        delivery.add(b"%d" % number)
    await consumer.until(lambda lines: len(lines) == 5)
    assert consumer.batches == [0, 1, 2, 3, 4]


async def test_put_where_it_was_asked_for(deliver):
    """As the Logs API allows."""
    consumer = await Consumer().open()
    deliver(consumer.port, method="PUT").add(b"1")
    await consumer.until(bool)
    assert consumer.heads[0].startswith(b"PUT ")


LIMITS = {
    "so many events": (Buffering(1000, 262_144, 30_000), [b"1"] * 1000),
    "so many bytes": (Buffering(10_000, 262_144, 30_000), [b'"%b"' % (b"x" * 1022)] * 256),
    "so long": (Buffering(10_000, 262_144, 25), [b"1"]),
}


@pytest.mark.parametrize(("buffering", "events"), LIMITS.values(), ids=LIMITS)
async def test_a_batch_leaves_at_its_first_limit(deliver, buffering, events):
    """Items, bytes or time."""
    consumer = await Consumer().open()
    delivery = deliver(consumer.port, buffering=buffering)
    for event in events:
        delivery.add(event)
    await consumer.until(bool)
    assert len(consumer.events) == len(events)


async def test_a_flood_is_cut_into_batches(deliver):
    """None is larger than its subscriber asked for, and nothing is lost that fits the room behind it."""
    consumer = await Consumer().open()
    delivery = deliver(consumer.port)
    for number in range(1500):
        delivery.add(b"%d" % number)
    await consumer.until(lambda batches: sum(map(len, batches)) == 1500)
    assert consumer.events == list(range(1500))
    assert max(map(len, consumer.batches)) == 1000


async def test_a_slow_consumer_is_told_what_it_lost(deliver):
    """Memory stays within bounds; the notice stands where the gap is."""
    consumer = await Consumer().open()
    consumer.listening.clear()
    delivery = deliver(consumer.port)
    event = b'"%b"' % (b"x" * 1022)
    for _ in range(10_000):
        delivery.add(event)
        if delivery.held_bytes % 65536 == 0:
            await asyncio.sleep(0)
    assert delivery.held_bytes < 1.5 * 1024 * 1024
    consumer.listening.set()
    await delivery.delivered()
    delivery.add(b'"after"')
    await delivery.delivered()
    kept = consumer.events.count("x" * 1022)
    notices = [said for said in consumer.events if isinstance(said, list)]
    assert kept + sum(records for records, _, _ in notices) == 10_000
    assert sum(size for _, size, _ in notices) == 1024 * (10_000 - kept)
    assert {reason for _, _, reason in notices} == {SLOW}
    assert consumer.events[-1] == "after"
    assert isinstance(consumer.events[-2], list)


async def test_who_listens_late_hears_all(deliver):
    """A subscriber that has not opened its port yet is waited for."""
    consumer = await Consumer().open()
    port = consumer.port
    consumer.server.close()
    await consumer.server.wait_closed()
    delivery = deliver(port)
    for number in range(3):
        delivery.add(b"%d" % number)
    delivery.flush()
    await asyncio.sleep(0.03)
    await consumer.open(port=port)
    await consumer.until(bool)
    assert consumer.events == [0, 1, 2]


def failing(times, answer):
    """A consumer's answer: so often this, then 200."""
    left = [times]

    def choose(_):
        left[0] -= 1
        return answer if left[0] >= 0 else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    return choose


async def test_a_refused_batch_is_tried_again(deliver):
    """Twice; then it is whole."""
    answer = failing(2, b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nOops")
    consumer = await Consumer(answer).open()
    delivery = deliver(consumer.port)
    delivery.add(b"1")
    await delivery.delivered()
    assert consumer.batches == [[1]]


async def test_a_batch_that_is_refused_thrice_is_lost_and_told(deliver):
    """One poisoned batch does not stop what follows."""
    answer = failing(3, b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n")
    consumer = await Consumer(answer).open()
    delivery = deliver(consumer.port)
    delivery.add(b'"poison"')
    await delivery.delivered()
    delivery.add(b"2")
    await delivery.delivered()
    assert consumer.batches == [[[1, 8, SLOW], 2]]


ANSWERS = {
    "with a body": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK",
    "without a length, as Python's own server gives it": b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\n\r\n",
    "with a status but no words": b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
    "that closes": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "after a hint": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "with odd fields": b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_any_server_will_do(deliver, answer):
    """The status is what counts."""
    consumer = await Consumer(answer).open()
    delivery = deliver(consumer.port)
    for number in range(3):
        delivery.add(b"%d" % number)
        await delivery.delivered()
    assert consumer.batches == [[0], [1], [2]]


async def test_a_connection_that_was_closed_meanwhile_costs_nothing(deliver):
    """Servers end idle connections; the next batch takes another."""
    consumer = Consumer()

    async def serve_one(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:"))
        await consumer.take(head, json.loads(await reader.readexactly(length)))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    await consumer.open(serve_one)
    delivery = deliver(consumer.port)
    for number in range(3):
        delivery.add(b"%d" % number)
        await delivery.delivered()
    assert consumer.batches == [[0], [1], [2]]


async def test_nothing_is_sent_to_the_frozen(deliver):
    """It waits for the thaw, and no attempt is counted meanwhile."""
    consumer = await Consumer().open()
    delivery = deliver(consumer.port)
    delivery.pause()
    delivery.add(b"1")
    delivery.flush()
    await asyncio.sleep(0.03)
    assert consumer.connections == 0
    delivery.resume()
    await consumer.until(bool)
    assert consumer.events == [1]


async def test_a_frozen_consumer_is_not_slow(deliver, monkeypatch):
    """What was under way when it froze has its whole time after the thaw."""
    monkeypatch.setattr(deliveries, "_PATIENCE", 0.1)
    consumer = await Consumer().open()
    consumer.listening.clear()
    delivery = deliver(consumer.port)
    delivery.add(b"1")
    delivery.flush()
    while not consumer.connections:
        await asyncio.sleep(0.001)
    delivery.pause()
    await asyncio.sleep(0.2)
    consumer.listening.set()
    delivery.resume()
    await delivery.delivered()
    assert (consumer.batches, consumer.connections) == ([[1]], 1)


async def test_a_consumer_that_never_answers_is_given_up(deliver, monkeypatch):
    """Three times its patience; the loss is told to whoever comes after."""
    monkeypatch.setattr(deliveries, "_PATIENCE", 0.05)
    consumer = await Consumer().open()
    consumer.listening.clear()
    delivery = deliver(consumer.port)
    delivery.add(b"1")
    await delivery.delivered()
    assert (consumer.batches, consumer.connections) == ([], 3)


async def test_in_a_hurry_nothing_is_held_back(deliver):
    """Each event leaves at once."""
    consumer = await Consumer().open()
    delivery = deliver(consumer.port, buffering=Buffering(1000, 262_144, 30_000))
    delivery.add(b"1")
    delivery.hurry(on=True)
    await consumer.until(bool)
    delivery.add(b"2")
    await consumer.until(lambda batches: len(batches) == 2)
    assert consumer.events == [1, 2]


async def test_who_moves_takes_everything_along(deliver):
    """What the old listener has not taken, and what waits behind it."""
    gone = await Consumer().open()
    gone.server.close()
    await gone.server.wait_closed()
    delivery = deliver(gone.port)
    delivery.add(b"1")
    delivery.flush()
    await asyncio.sleep(0.03)
    delivery.add(b"2")
    consumer = await Consumer().open()
    delivery.redirect(Destination("127.0.0.1", consumer.port, "/new", "POST", "sandbox"), Buffering())
    await delivery.delivered()
    assert consumer.events == [1, 2]
    assert consumer.heads[0].startswith(b"POST /new ")

"""A work queue of keys."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.controller.queueing import Backoff, WorkQueue
from lambent.model.errors import Unavailable

KEYS = "abc"


class Recording:
    """Work that takes a moment, may fail, and is watched for breaking the queue's promises."""

    def __init__(self, outcomes=()):
        self.outcomes = list(outcomes)
        self.running = set()
        self.started = []
        self.owed = {}
        """Key → adds that no start has followed yet."""

    async def __call__(self, key):
        assert key not in self.running, "two workers on one key"
        self.running.add(key)
        self.started.append(key)
        self.owed.pop(key, None)
        try:
            await asyncio.sleep(0.001)
            outcome = self.outcomes.pop(0) if self.outcomes else None
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
        finally:
            self.running.discard(key)


async def settle(queue, work, seconds=2.0):
    async with asyncio.timeout(seconds):
        while work.owed or work.running or queue.depth:
            await asyncio.sleep(0.002)


def test_backoff_doubles_up_to_its_longest():
    """0.5, 1, 2 … 30 seconds."""
    backoff = Backoff()
    assert [backoff.wait(failures) for failures in (1, 2, 3, 7, 99)] == [0.5, 1, 2, 30, 30]


async def test_adds_during_work_run_it_once_more():
    """Coalesced, never lost."""
    work, queue = Recording(), WorkQueue(2)
    running = asyncio.create_task(queue.run(work))
    queue.add("a")
    await asyncio.sleep(0.0005)
    for _ in range(5):
        queue.add("a")
    await settle(queue, work)
    assert work.started == ["a", "a"]
    running.cancel()


async def test_work_is_repeated_when_it_says_so():
    """The number it returns is seconds."""
    work, queue = Recording([0.01, 0.01, None]), WorkQueue(2)
    running = asyncio.create_task(queue.run(work))
    queue.add("a")
    await asyncio.sleep(0.1)
    assert work.started == ["a"] * 3
    running.cancel()


async def test_the_earliest_delay_wins_and_an_add_beats_it():
    """`add_after` is at the latest."""
    work, queue = Recording(), WorkQueue(2)
    running = asyncio.create_task(queue.run(work))
    queue.add_after("a", 10)
    queue.add_after("a", 0.01)
    queue.add_after("a", 20)
    await asyncio.sleep(0.05)
    assert work.started == ["a"]
    queue.add_after("b", 10)
    queue.add("b")
    await asyncio.sleep(0.02)
    assert work.started == ["a", "b"]
    running.cancel()


async def test_a_failing_key_is_backed_off_and_others_are_not():
    """Adds wait with it; success forgets the failures."""
    work = Recording([ValueError("broken"), None])
    queue = WorkQueue(1, Backoff(first=0.05, longest=1))
    running = asyncio.create_task(queue.run(work))
    queue.add("a")
    await asyncio.sleep(0.01)
    for _ in range(100):
        queue.add("a")
    queue.add("b")
    await asyncio.sleep(0.01)
    assert work.started == ["a", "b"]
    await asyncio.sleep(0.1)
    assert work.started == ["a", "b", "a"]
    running.cancel()


async def test_a_server_that_names_its_time_is_obeyed():
    """Retry-After is longer than the back-off."""
    work = Recording([Unavailable("busy", retry_after=0.08)])
    queue = WorkQueue(1, Backoff(first=0.001, longest=1))
    running = asyncio.create_task(queue.run(work))
    queue.add("a")
    await asyncio.sleep(0.04)
    assert work.started == ["a"]
    await asyncio.sleep(0.08)
    assert work.started == ["a", "a"]
    running.cancel()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from(KEYS)),
        st.tuples(st.just("later"), st.sampled_from(KEYS)),
        st.tuples(st.just("pause"), st.sampled_from([0.0, 0.0005, 0.002])),
    ),
    max_size=40,
)
OUTCOMES = st.lists(st.sampled_from([None, None, 0.001, ValueError("broken"), Unavailable("away")]), max_size=20)


@settings(max_examples=60, deadline=None)
@given(STEPS, OUTCOMES, st.integers(1, 4))
def test_an_add_is_always_followed_by_work_and_never_twice_at_once(steps, outcomes, workers):
    """The queue's two promises, over arbitrary histories."""

    async def play():
        work = Recording(outcomes)
        queue = WorkQueue(workers, Backoff(first=0.001, longest=0.004))
        running = asyncio.create_task(queue.run(work))
        for what, value in steps:
            if what == "add":
                work.owed[value] = True
                queue.add(value)
            elif what == "later":
                work.owed[value] = True
                queue.add_after(value, 0.002)
            else:
                await asyncio.sleep(value)
        await settle(queue, work)
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(play())


async def test_what_failed_together_is_not_tried_again_together():
    """A hundred Functions that an API server refused do not come back in one moment, and none comes early."""
    queue, tried = WorkQueue(100, Backoff(first=0.2, longest=0.2, spread=2.0)), []
    loop = asyncio.get_running_loop()

    async def work(key):
        if key in {each for each, _ in tried}:
            tried.append((key, loop.time()))
            return None
        tried.append((key, loop.time()))
        raise Unavailable("busy", 0.3)

    running = asyncio.create_task(queue.run(work))
    for number in range(100):
        queue.add(str(number))
    async with asyncio.timeout(10):
        while len(tried) < 200:
            await asyncio.sleep(0.02)
    running.cancel()
    first, second = dict(tried[:100]), dict(tried[100:])
    waited = sorted(second[key] - first[key] for key in first)
    assert waited[0] >= 0.29
    assert waited[-1] - waited[0] > 0.2

"""Leadership by a Lease."""

import asyncio

import pytest

from lambent.adapters.kube.leases import LEASES, Candidacy, lead

PATH = LEASES.item("a", "l")


def candidate(name, **pace):
    return Candidacy("l", "a", name, **{"duration": 3, "renew_deadline": 2, "retry_period": 1, **pace})


async def forever():
    await asyncio.Event().wait()


async def test_one_leads_and_the_next_follows_at_once_when_it_leaves(api):
    """A leader that leaves in peace gives its Lease back."""
    order = []

    async def work(name):
        order.append(f"{name} leads")
        await asyncio.sleep(0.2)
        order.append(f"{name} ends")

    assert await lead(api.client, candidate("one"), lambda: work("one"))
    assert api.objects[PATH]["spec"]["holderIdentity"] == ""
    async with asyncio.timeout(2.5):  # sooner than the Lease runs out
        assert await lead(api.client, candidate("two"), lambda: work("two"))
    assert order == ["one leads", "one ends", "two leads", "two ends"]


async def test_two_never_lead_together(api):
    """The second waits while the first renews."""
    first = asyncio.create_task(lead(api.client, candidate("one"), forever))
    await asyncio.sleep(0.2)
    led = []

    async def work():
        led.append(True)

    second = asyncio.create_task(lead(api.client, candidate("two"), work))
    await asyncio.sleep(2.5)
    assert led == []
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert await asyncio.wait_for(second, 3)


async def test_who_cannot_renew_stops_working(api):
    """The deadline is shorter than the Lease, so that nobody else leads yet."""
    stopped = asyncio.Event()

    async def work():
        try:
            await forever()
        finally:
            stopped.set()

    leading = asyncio.create_task(lead(api.client, candidate("one"), work))
    await asyncio.sleep(0.2)
    api.fail("GET", "/leases", status=503, times=1000)
    api.fail("PUT", "/leases", status=503, times=1000)
    assert await asyncio.wait_for(leading, 5) is False
    assert stopped.is_set()


async def test_a_failure_of_the_work_is_raised(api):
    """The library would go on renewing for nobody."""

    async def work():
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await asyncio.wait_for(lead(api.client, candidate("one"), work), 3)


async def test_a_broken_api_server_is_a_failed_try_and_no_crash(api):
    """Whoever wants to lead keeps trying."""
    api.fail("GET", "/leases", status=500, times=1)

    async def work():
        return None

    assert await asyncio.wait_for(lead(api.client, candidate("one"), work), 5)

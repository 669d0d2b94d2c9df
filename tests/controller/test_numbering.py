"""Numbers that are given once, whoever asks and however often."""

from __future__ import annotations

import asyncio

import pytest
from kubernetes.aio.client import ApiClient, Configuration

from lambent.adapters.kube.client import KubeClient
from lambent.adapters.kube.resources import CONFIG_MAPS
from lambent.controller.numbering import TRIES, next_number
from lambent.model.errors import Refused, Unavailable

PATH = CONFIG_MAPS.item("a", "lambent-numbers")


async def test_numbers_begin_at_one_and_each_key_has_its_own(api):
    """A layer's and, one day, a function's."""
    assert [await next_number(api.client, "a", "layer.libs") for _ in range(3)] == [1, 2, 3]
    assert await next_number(api.client, "a", "function.libs") == 1
    assert api.objects[PATH]["data"] == {"layer.libs": "3", "function.libs": "1"}
    assert api.objects[PATH]["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "lambent"}


async def test_those_who_ask_at_once_get_different_numbers(api):
    """However many they are: those of one process take turns, and nothing is written in vain."""
    numbers = await asyncio.gather(*(next_number(api.client, "a", "layer.libs") for _ in range(5 * TRIES)))
    assert sorted(numbers) == list(range(1, 5 * TRIES + 1))
    assert len(api.writes()) == 5 * TRIES


async def test_those_of_two_processes_get_different_numbers(api):
    """Whoever was overtaken reads again: for a moment two may lead."""
    other = KubeClient(ApiClient(Configuration(host=str(api.server.make_url("")).rstrip("/"))))
    clients = [api.client, other] * (TRIES // 2)
    numbers = await asyncio.gather(*(next_number(client, "a", "layer.libs") for client in clients))
    await other.close()
    assert sorted(numbers) == list(range(1, TRIES + 1))


async def test_a_number_is_above_the_floor(api):
    """What exists already is never given, whatever the counter says."""
    assert await next_number(api.client, "a", "layer.libs", floor=7) == 8
    assert await next_number(api.client, "a", "layer.libs", floor=3) == 9


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "٣", "9" * 19])
async def test_what_is_no_number_is_not_guessed_at(api, text):
    """A number might be given twice."""
    api.add(CONFIG_MAPS.collection("a"), {"metadata": {"name": "lambent-numbers"}, "data": {"layer.libs": text}})
    with pytest.raises(Refused, match="and not the highest number that was ever given"):
        await next_number(api.client, "a", "layer.libs")
    assert api.objects[PATH]["data"] == {"layer.libs": text}


async def test_a_counter_that_others_write_without_end_is_given_up_for_now(api):
    """The queue tries again."""
    await next_number(api.client, "a", "layer.libs")
    api.fail("PATCH", "lambent-numbers", status=409, reason="Conflict", times=100)
    with pytest.raises(Unavailable):
        await next_number(api.client, "a", "layer.libs")
    assert api.objects[PATH]["data"] == {"layer.libs": "1"}


async def test_a_refusal_is_said(api):
    """A right that is missing, say."""
    api.fail("POST", "/configmaps", status=403, reason="Forbidden", message="may not create configmaps")
    with pytest.raises(Refused, match="may not create configmaps"):
        await next_number(api.client, "a", "layer.libs")

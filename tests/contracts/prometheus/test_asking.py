"""What a Prometheus answers to the queries of alarms, and how it says no."""

from __future__ import annotations

import math
from pathlib import Path

import aiohttp
import pytest

from lambent.adapters.prometheus import PrometheusClient, PrometheusSettings
from lambent.model.errors import Unavailable

NUMBERS = {
    "a sum of a version's counter": ('sum(shop_orders_total{version="2"})', 42),
    "a scalar": ("scalar(sum(shop_orders_total))", 49),
    "nothing at all": ("sum(shop_nothing)", None),
}


@pytest.mark.parametrize(("query", "number"), NUMBERS.values(), ids=NUMBERS)
async def test_a_query_has_one_number_as_its_result(client: PrometheusClient, query: str, number: float | None) -> None:
    assert await client.ask(query) == number


async def test_what_is_not_a_number_is_told_as_such(client: PrometheusClient) -> None:
    """A rate of nothing by nothing."""
    answer = await client.ask("vector(0) / vector(0)")
    assert answer is not None
    assert math.isnan(answer)


REFUSED = {
    "two series": ("shop_orders_total", "2 series"),
    "a range": ("shop_orders_total[1m]", "matrix"),
    "a text": ('"hello"', "string"),
    "half a query": ("sum(", "bad_data: .*parse error"),
    "more samples than it may look at": (
        "sum(sum_over_time((vector(1))[2h:1s]))",
        "execution: .*too many samples",
    ),
}


@pytest.mark.parametrize(("query", "words"), REFUSED.values(), ids=REFUSED)
async def test_what_an_alarm_cannot_use_is_told_in_words(client: PrometheusClient, query: str, words: str) -> None:
    with pytest.raises(Unavailable, match=words):
        await client.ask(query)


async def test_a_path_that_it_does_not_know_is_told(url: str) -> None:
    """The value of the chart is the base URL."""
    async with aiohttp.ClientSession() as session:
        client = PrometheusClient(session, PrometheusSettings(f"{url}/elsewhere"))
        with pytest.raises(Unavailable, match="answered 404, and not as a Prometheus"):
            await client.ask("vector(1)")


async def test_a_token_is_no_harm(url: str, tmp_path: Path) -> None:
    """A Prometheus asks for none; what stands before it may."""
    (tmp_path / "token").write_text("secret")
    async with aiohttp.ClientSession() as session:
        client = PrometheusClient(session, PrometheusSettings(url, str(tmp_path / "token")))
        assert await client.ask('sum(shop_orders_total{version="2"})') == 42

"""A Prometheus that knows a few queries by heart, as the real one answers them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

TOKEN = "Bearer secret"


def vector(*values: str) -> dict[str, Any]:
    return {"resultType": "vector", "result": [{"metric": {}, "value": [1700000000.5, value]} for value in values]}


KNOWN: Mapping[str, tuple[int, dict[str, Any]]] = {
    'sum(shop_orders_total{version="2"})': (200, vector("42")),
    "shop_orders_total": (200, vector("42", "7")),
    "sum(shop_nothing)": (200, vector()),
    "vector(0) / vector(0)": (200, vector("NaN")),
    "scalar(sum(shop_orders_total))": (200, {"resultType": "scalar", "result": [1700000000.5, "49"]}),
    "shop_orders_total[1m]": (200, {"resultType": "matrix", "result": []}),
    '"hello"': (200, {"resultType": "string", "result": [1700000000.5, "hello"]}),
}


class FakePrometheus:
    """Answers what it knows; everything else is a query that it cannot parse."""

    async def query(self, request: web.Request) -> web.Response:
        form = await request.post() if request.method == "POST" else request.query
        if request.headers.get("Authorization") not in (None, TOKEN):
            return web.Response(status=401, text="Unauthorized")
        query = str(form["query"])
        if query.startswith("sum(sum_over_time("):
            return _error(422, "execution", "query processing would load too many samples into memory")
        if query not in KNOWN:
            return _error(400, "bad_data", 'invalid parameter "query": 1:5: parse error: unexpected end of input')
        status, data = KNOWN[query]
        return web.Response(status=status, body=json.dumps({"status": "success", "data": data}))


def _error(status: int, kind: str, words: str) -> web.Response:
    return web.Response(status=status, body=json.dumps({"status": "error", "errorType": kind, "error": words}))


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    """Its base URL."""
    app = web.Application()
    app.router.add_route("*", "/api/v1/query", FakePrometheus().query)
    server = TestServer(app)
    await server.start_server(shutdown_timeout=0.1)
    try:
        yield str(server.make_url("")).rstrip("/")
    finally:
        await server.close()

"""FROZEN. The least that aiohttp can do as a proxy that keeps no body: P7S's comparator. Never make it faster or slower."""

import json
import sys
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

SETTINGS = json.load(sys.stdin)  # {"port", "backend": "http://host:port/path", "headers": {}}


async def proxy(request: web.Request) -> web.StreamResponse:
    body = await request.read()
    async with request.app["session"].post(SETTINGS["backend"], data=body, headers=SETTINGS["headers"]) as answer:
        response = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
        response.enable_chunked_encoding()
        await response.prepare(request)
        async for piece in answer.content.iter_any():
            await response.write(piece)
        await response.write_eof()
        return response


async def keep_session(app: web.Application) -> AsyncIterator[None]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as app["session"]:
        yield


application = web.Application(client_max_size=8 * 1024 * 1024)
application.cleanup_ctx.append(keep_session)
application.router.add_post("/{path:.*}", proxy)
web.run_app(application, host="127.0.0.1", port=SETTINGS["port"], access_log=None, print=None)

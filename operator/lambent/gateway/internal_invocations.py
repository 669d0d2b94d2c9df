"""`POST /v1/invoke` of the internal door: what the controller runs, answered as the public door answers.

Nobody asks for a right here: whoever may use the door says in which namespace a function is meant, and is kept to it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Mapping

from aiohttp import web
from multidict import CIMultiDict

from lambent.adapters.http.servers import Fields
from lambent.core.routing import RoutingTable
from lambent.model.errors import LambdaError, ValidationFailed
from lambent.wire import lambda_api

from .answering import DICE_BYTES, Answering, Exchange
from .invoking import internal_error
from .serving import Content, Pieces

log = logging.getLogger(__name__)

TARGET, ROLL = b"lambent-target", b"lambent-roll"

_Reply = tuple[int, Fields, Content | Pieces]


class InternalInvocations:
    """Runs requests of the internal door."""

    def __init__(self, table: RoutingTable, answering: Answering) -> None:
        self._table = table
        self._answering = answering

    async def answer(self, request: web.BaseRequest, body: bytes | None) -> web.Response:
        """Run one request to its end. `body` is None when it is over the limit."""
        headers = {name.lower(): value for name, value in request.raw_headers}
        reply: asyncio.Future[_Reply] = asyncio.get_running_loop().create_future()

        def respond(status: int, fields: Fields, content: Content | Pieces) -> None:
            if not reply.done():
                reply.set_result((status, fields, content))

        dice = os.urandom(DICE_BYTES).hex()
        request_id = lambda_api.request_id(dice)
        exchange: Exchange | None = None
        try:
            namespace, target = self._target(headers)
            exchange = Exchange(headers, body, target, respond, request_id, dice, _roll(headers))
            await self._answering.begin_in_turn(exchange, namespace)
            status, fields, content = await reply
        except asyncio.CancelledError:
            if exchange is not None:
                exchange.abandon()
            raise
        except LambdaError as error:
            status, (fields, content) = error.status, lambda_api.encode_error(error, request_id)
        except Exception:
            log.exception("request %s failed", request_id)
            failed = internal_error()
            status, (fields, content) = failed.status, lambda_api.encode_error(failed, request_id)
        return _response(status, fields, content)

    def _target(self, headers: Mapping[bytes, bytes]) -> tuple[str, lambda_api.Target]:
        text = headers.get(TARGET)
        if text is None:
            raise ValidationFailed("The header Lambent-Target is missing.")
        namespace, target = lambda_api.parse_internal_target(text.decode("utf-8", "replace"))
        reference = target.reference
        if self._table.space_of(reference, namespace) != namespace:  # another account's ARN
            qualifier = target.qualifier if target.qualified else None
            raise self._table.not_found(reference.account or "", reference.name, qualifier)
        return namespace, target


def _roll(headers: Mapping[bytes, bytes]) -> float:
    text = headers.get(ROLL)
    return random.random() if text is None else lambda_api.parse_roll(text.decode("ascii", "replace"))


def _response(status: int, fields: Fields, content: Content | Pieces) -> web.Response:
    assert isinstance(content, bytes | bytearray)  # nothing streams where nobody asked for it
    named = CIMultiDict([(name.decode("latin-1"), value.decode("utf-8", "surrogateescape")) for name, value in fields])
    return web.Response(status=status, headers=named, body=content)

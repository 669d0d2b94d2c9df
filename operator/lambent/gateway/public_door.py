"""Port 8080: the Lambda API as clients speak it. Requests are not logged; payloads are never encoded anew."""

from __future__ import annotations

import asyncio
import logging
import os
import random

from lambent.model.errors import LambdaError, ServiceFailed
from lambent.wire import events, lambda_api

from .answering import DICE_BYTES, Answering, Exchange, refuse
from .authorizing import Gate
from .serving import Abandon, Asked, Reply, Respond

log = logging.getLogger(__name__)

INTERNAL = "An internal error occurred."


class PublicDoor:
    """Answers requests of the public port (`serving.Begin`, `serving.Admit`)."""

    def __init__(self, gate: Gate, answering: Answering) -> None:
        self._gate = gate
        self._answering = answering

    def __call__(self, request: Asked, respond: Respond) -> Abandon | None:
        """Begin to answer one request."""
        dice = os.urandom(DICE_BYTES).hex()
        request_id = lambda_api.request_id(dice)
        try:
            target = lambda_api.parse_target(request.method, request.target)
            exchange = Exchange(request.headers, request.body, target, respond, request_id, dice, random.random())
            namespace = self._gate.at_once(request.headers, target.reference)
            if namespace is not None and (request.body is None or len(request.body) < events.LARGE_BYTES):
                return self._answering.begin(exchange, namespace)
            exchange.task = asyncio.get_running_loop().create_task(self._take_time(exchange, namespace))
        except LambdaError as error:
            refuse(error, request_id, respond)
        except Exception:
            log.exception("request %s failed", request_id)
            refuse(ServiceFailed(INTERNAL), request_id, respond)
        else:
            return exchange.abandon
        return None

    async def admit(self, head: Asked) -> Reply | None:
        """The refusal of a caller whose body nobody needs to read; None for everybody else."""
        try:
            target = lambda_api.parse_target(head.method, head.target)
            if self._gate.at_once(head.headers, target.reference) is None:
                await self._gate.ask(head.headers, target.reference)
        except LambdaError as error:
            request_id = lambda_api.request_id(os.urandom(16).hex())
            return error.status, *lambda_api.encode_error(error, request_id)
        return None

    async def _take_time(self, exchange: Exchange, namespace: str | None) -> None:
        """Begin once the API server has said who calls and what he may, and once a large event is known to be JSON."""
        body = exchange.body
        try:
            if namespace is None:
                namespace = await self._gate.ask(exchange.headers, exchange.target.reference)
            checked = body is not None and len(body) >= events.LARGE_BYTES
            if checked and body is not None:
                await self._answering.check(body)
            exchange.abandoned = self._answering.begin(exchange, namespace, checked=checked)
        except LambdaError as error:
            exchange.refuse(error)
        except Exception:
            log.exception("request %s failed", exchange.request_id)
            exchange.refuse(ServiceFailed(INTERNAL))

"""Port 8080: the Lambda API as clients speak it. Requests are not logged; payloads are never encoded anew."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import random

from lambent.model.errors import LambdaError, UnknownOperation
from lambent.wire import codedeploy, lambda_api
from lambent.wire.codedeploy import ReportRefused

from .answering import DICE_BYTES, Answering, Exchange, is_large, refuse
from .authorizing import Gate
from .hook_reports import HookReports
from .invoking import INTERNAL, internal_error
from .serving import Abandon, Asked, Reply, Respond

log = logging.getLogger(__name__)


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


class PublicDoor:
    """Answers requests of the public port (`serving.Begin`, `serving.Admit`)."""

    def __init__(self, gate: Gate, answering: Answering, reports: HookReports) -> None:
        self._gate = gate
        self._answering = answering
        self._reports = reports

    def __call__(self, request: Asked, respond: Respond) -> Abandon | None:
        """Begin to answer one request."""
        dice = os.urandom(DICE_BYTES).hex()
        request_id = lambda_api.request_id(dice)
        try:
            target = lambda_api.parse_target(request.method, request.target)
            exchange = Exchange(request.headers, request.body, target, respond, request_id, dice, random.random())
            namespace = self._gate.at_once(request.headers, target.reference)
            if namespace is not None and not is_large(request.body):
                return self._answering.begin(exchange, namespace)
            exchange.task = asyncio.get_running_loop().create_task(self._take_time(exchange, namespace))
        except UnknownOperation as error:
            if codedeploy.is_call(request.method, request.target, request.headers):
                task = asyncio.get_running_loop().create_task(self._report(request, request_id, respond))
                return functools.partial(_cancel, task)
            refuse(error, request_id, respond)
        except LambdaError as error:
            refuse(error, request_id, respond)
        except Exception:
            log.exception("request %s failed", request_id)
            refuse(internal_error(), request_id, respond)
        else:
            return exchange.abandon
        return None

    async def admit(self, head: Asked) -> Reply | None:
        """The refusal of a caller whose body nobody needs to read; None for everybody else."""
        try:
            if codedeploy.is_call(head.method, head.target, head.headers):
                codedeploy.check_head(head.headers)
                return None
            target = lambda_api.parse_target(head.method, head.target)
            if self._gate.at_once(head.headers, target.reference) is None:
                await self._gate.ask(head.headers, target.reference)
        except LambdaError as error:
            request_id = lambda_api.request_id(os.urandom(16).hex())
            return error.status, *lambda_api.encode_error(error, request_id)
        except ReportRefused as refused:
            request_id = lambda_api.request_id(os.urandom(16).hex())
            return refused.status, *codedeploy.encode_refusal(refused, request_id)
        return None

    async def _report(self, request: Asked, request_id: str, respond: Respond) -> None:
        """A hook of a rollout reports: who knows its execution id needs no other right."""
        try:
            report = codedeploy.parse_report(request.headers, request.body)
            await self._reports.take(report)
        except ReportRefused as refused:
            respond(refused.status, *codedeploy.encode_refusal(refused, request_id))
        except Exception:
            log.exception("report %s failed", request_id)
            failed = ReportRefused("InternalFailure", INTERNAL)
            respond(500, *codedeploy.encode_refusal(failed, request_id))
        else:
            respond(200, *codedeploy.encode_taken(report, request_id))

    async def _take_time(self, exchange: Exchange, namespace: str | None) -> None:
        """Begin once the API server has said who calls and what he may, and once a large event is known to be JSON."""
        try:
            if namespace is None:
                namespace = await self._gate.ask(exchange.headers, exchange.target.reference)
            await self._answering.begin_in_turn(exchange, namespace)
        except LambdaError as error:
            exchange.refuse(error)
        except Exception:
            log.exception("request %s failed", exchange.request_id)
            exchange.refuse(internal_error())

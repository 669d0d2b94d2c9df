"""Port 8080: the Lambda API as clients speak it. Requests are not logged; payloads are never encoded anew."""

from __future__ import annotations

import logging
import os
import time

from lambent.core.routing import RoutingTable
from lambent.model.errors import InvalidParameterValue, LambdaError, ServiceFailed, UnknownOperation
from lambent.wire import lambda_api

from .invocations import Answer
from .invoking import Invoking, Request
from .serving import Abandon, Asked, Respond

log = logging.getLogger(__name__)


class PublicDoor:
    """Answers requests of the public port (`serving.Begin`)."""

    def __init__(self, table: RoutingTable, invoking: Invoking) -> None:
        self._table = table
        self._invoking = invoking

    def __call__(self, request: Asked, respond: Respond) -> Abandon | None:
        """Begin to answer one request."""
        dice = os.urandom(36).hex()
        request_id = lambda_api.request_id(dice)
        try:
            return self._begin(request, request_id, dice, respond)
        except LambdaError as error:
            _refuse(error, request_id, respond)
        except Exception:
            log.exception("request %s failed", request_id)
            _refuse(ServiceFailed("An internal error occurred."), request_id, respond)
        return None

    def _begin(self, request: Asked, request_id: str, dice: str, respond: Respond) -> Abandon | None:
        if request.method != "POST":
            raise UnknownOperation("The operation you tried to call is not known.")
        target = lambda_api.parse_target(request.target)
        options = lambda_api.parse_options(request.headers)
        if request.body is None:
            raise lambda_api.too_large()
        event = lambda_api.check_event(request.body)
        if options.invocation_type == lambda_api.EVENT:
            raise InvalidParameterValue("Invocation type Event is not supported yet: use RequestResponse.")
        route = self._table.resolve(target.reference, target.qualifier, lambda_api.namespace_of(request.headers))
        given = request.headers.get(lambda_api.TRACE_ID_KEY)
        trace = lambda_api.trace_header(given, int(time.time()), dice[32:])
        if options.invocation_type == lambda_api.DRY_RUN:
            respond(204, lambda_api.dry_run_fields(request_id, trace), b"")
            return None

        def settle(outcome: Answer | LambdaError) -> None:
            if isinstance(outcome, Answer):
                fields = lambda_api.answer_fields(request_id, trace, route.version)
                if outcome.function_error:
                    fields.append(lambda_api.FUNCTION_ERROR_FIELD)
                if outcome.log_result is not None:
                    fields.append((lambda_api.LOG_RESULT, outcome.log_result.encode()))
                respond(200, fields, outcome.body)
            else:
                _refuse(outcome, request_id, respond)

        asked = Request(
            request_id=request_id,
            qualifier=target.qualifier if target.qualified else None,
            trace=trace,
            client_context=options.client_context,
            tail=options.tail,
            event=event,
        )
        return self._invoking.begin(route, asked, settle)


def _refuse(error: LambdaError, request_id: str, respond: Respond) -> None:
    fields, body = lambda_api.encode_error(error, request_id)
    respond(error.status, fields, body)

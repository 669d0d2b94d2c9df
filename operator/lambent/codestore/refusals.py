"""Answers that are not the blob: `{"errorType": …, "errorMessage": …}`, from one table of what can go wrong."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable

from aiohttp import web

from lambent.adapters.code.blobs import StoreFull, TooYoung, WrongDigest
from lambent.model.errors import Unavailable

log = logging.getLogger(__name__)


class Refusal(Exception):
    """An answer that is not the blob."""

    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(message)
        self.status, self.error_type, self.message = status, error_type, message
        self.headers = {"Cache-Control": "no-store"}

    def response(self) -> web.Response:
        """The answer itself."""
        body = {"errorType": self.error_type, "errorMessage": self.message}
        return web.json_response(body, status=self.status, headers=self.headers)


async def answered(handling: Awaitable[web.StreamResponse]) -> web.StreamResponse:
    """What a handler answers, or what stands for its exception."""
    try:
        return await handling
    except Refusal as refusal:
        return refusal.response()
    except ConnectionError:
        raise  # the client hung up: there is nobody to answer
    except Exception as error:  # noqa: BLE001 -- one bad request never stops the others
        return _refusal(error).response()


def _refusal(error: Exception) -> Refusal:
    match error:
        case WrongDigest():
            return Refusal(400, "WrongDigest", str(error))
        case TooYoung():
            return Refusal(412, "PreconditionFailed", str(error))
        case StoreFull():
            log.warning("blob not stored", extra={"reason": str(error)})
            return Refusal(507, "StoreFull", str(error))
        case Unavailable():
            log.warning("blobs unavailable", extra={"reason": str(error)})
            refusal = Refusal(503, "Unavailable", str(error))
            if error.retry_after is not None:
                refusal.headers["Retry-After"] = str(math.ceil(error.retry_after))
            return refusal
        case web.HTTPException():  # what aiohttp's router refuses: 404, 405
            refusal = Refusal(error.status, error.reason.replace(" ", ""), error.reason)
            if "Allow" in error.headers:
                refusal.headers["Allow"] = error.headers["Allow"]
            return refusal
        case _:
            log.error("request failed", exc_info=error)  # never the URL: it is signed
            return Refusal(500, "InternalError", "the code store failed; its log says why")

"""Code on its way into the code store: packaged, found there or put there, looked after.

The store may lose what it had (an empty volume after a restart), so what is stored is asked for again from time to
time, and soon when environments are about to need it.
"""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from lambent.core import packaging
from lambent.core.readiness import Obtained, Problem, StoredCode
from lambent.core.references import Versions
from lambent.model.conditions import ConditionType, Reason
from lambent.model.errors import InvalidCode, Unavailable
from lambent.model.functions import Code, FunctionObject
from lambent.wire.signed_urls import blob_path, sign_path

log = logging.getLogger(__name__)

SIGNATURE_SECONDS = 600
RECHECK_SECONDS = 600.0
RECHECK_WHEN_STARTING_SECONDS = 30.0


class CodeStore(Protocol):
    """The code store as the controller needs it."""

    async def put(self, signed_path: str, data: bytes) -> None:
        """Store a blob. Raises Unavailable."""

    async def has(self, signed_path: str) -> bool:
        """Whether a blob is there. Raises Unavailable."""


@dataclass(slots=True)
class _Entry:
    generation: int
    code: Code
    runtime: str | None
    outcome: Obtained | Problem
    checked: float


class CodeShelf:
    """What became of the code of each Function, by uid."""

    def __init__(self, codestore: CodeStore, url_key: bytes, clock: Callable[[], float] = time.monotonic) -> None:
        self._codestore = codestore
        self._url_key = url_key
        self._clock = clock
        self._entries: dict[str, _Entry] = {}

    def lookup(self, function: FunctionObject, _versions: Versions) -> Obtained | Problem | None:
        """What is known of the code of the current specification; None when it has to be stored first."""
        entry = self._entries.get(function.uid)
        if entry is None:
            return None
        if entry.generation != function.generation:
            if (entry.code, entry.runtime) != (function.spec.code, function.spec.runtime):
                return None
            entry.generation = function.generation
        return entry.outcome

    def forget(self, uid: str) -> None:
        """The Function is gone."""
        self._entries.pop(uid, None)

    async def obtain(self, function: FunctionObject, _versions: Versions) -> Obtained | Problem:
        """Package the code and see that the store has it. What could not be reached is tried again next time."""
        try:
            package = await asyncio.to_thread(packaging.package, function.spec.code, function.spec.runtime or "")
        except InvalidCode as error:
            return self._remember(function, Problem(Reason.INVALID_CODE, str(error)))
        stored = StoredCode(package.sha256_hex, package.sha256_base64, package.size)
        try:
            await self._ensure(package.sha256_hex, package.data)
        except InvalidCode as error:
            return self._remember(function, Problem(Reason.INVALID_CODE, str(error)))
        except Unavailable as error:
            if not _was_stored(function, stored):
                return Problem(Reason.CODE_STORE_UNAVAILABLE, str(error))
            # it was there before: the function is not taken away because nobody can be asked just now
            log.warning("code of %s/%s not checked: %s", function.namespace, function.name, error)
        return self._remember(function, stored)

    def recheck_in(self, function: FunctionObject, *, starting: bool) -> float | None:
        """Seconds until the store is to be asked again whether it still has the code; None when it never had it."""
        entry = self._entries.get(function.uid)
        if entry is None or not isinstance(entry.outcome, StoredCode):
            return None
        waited = self._clock() - entry.checked
        if starting and waited >= RECHECK_WHEN_STARTING_SECONDS:
            return 0.0
        return max(0.0, _period(function.uid) - waited)

    async def recheck(self, function: FunctionObject) -> None:
        """Ask, and store again what the store has lost. Never raises; what could not be asked is asked soon."""
        entry = self._entries.get(function.uid)
        if entry is None or not isinstance(entry.outcome, StoredCode):
            return
        entry.checked = self._clock()
        try:
            if not await self._has(entry.outcome.sha256_hex):
                log.warning("the code store lost the code of %s/%s", function.namespace, function.name)
                package = await asyncio.to_thread(packaging.package, entry.code, entry.runtime or "")
                await self._ensure(package.sha256_hex, package.data)
        except (Unavailable, InvalidCode) as error:
            log.warning("code of %s/%s not checked: %s", function.namespace, function.name, error)
            entry.checked -= _period(function.uid) - RECHECK_WHEN_STARTING_SECONDS

    def _remember(self, function: FunctionObject, outcome: Obtained | Problem) -> Obtained | Problem:
        self._entries[function.uid] = _Entry(
            function.generation, function.spec.code, function.spec.runtime, outcome, self._clock()
        )
        return outcome

    async def _ensure(self, sha256_hex: str, data: bytes) -> None:
        if not await self._has(sha256_hex):
            await self._codestore.put(self._sign("PUT", sha256_hex), data)

    async def _has(self, sha256_hex: str) -> bool:
        return await self._codestore.has(self._sign("HEAD", sha256_hex))

    def _sign(self, method: str, sha256_hex: str) -> str:
        return sign_path(self._url_key, method, blob_path(sha256_hex), int(time.time()) + SIGNATURE_SECONDS)


def _was_stored(function: FunctionObject, code: StoredCode) -> bool:
    stored = any(
        condition.type == ConditionType.CODE_STORED and condition.status == "True"
        for condition in function.status.conditions
    )
    return stored and function.status.code_sha256 == code.sha256_base64


def _period(uid: str) -> float:
    """Between two checks; spread over functions, so that not all ask at once."""
    return RECHECK_SECONDS * (1 + zlib.crc32(uid.encode()) % 256 / 1024)

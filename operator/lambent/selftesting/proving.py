"""The proof that an installation works: made, Ready, closed to strangers, answering, removed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp

from lambent.adapters.kube.client import KubeClient
from lambent.adapters.kube.resources import FUNCTIONS
from lambent.model import names
from lambent.model.errors import Refused, Unavailable

from .settings import Settings

CODE = 'def handler(event, context):\n    return {"hello": event["name"], "function": context.function_name}\n'
CALL_SECONDS = 90.0
"""A cold start may pull an image."""
NOT_YET = (403, 404, 409, 429, 500, 502, 503, 504)
"""RBAC and watches take a moment until they know of what was just made."""


class Disproved(Exception):
    """Something is not as an installation promises; the text says what was seen last."""


@dataclass(slots=True)
class Proof:
    """One self-test; `tell` says what happens, a line each."""

    client: KubeClient
    session: aiohttp.ClientSession
    settings: Settings
    token: str
    tell: Callable[[str], None]
    pause: float = 1.0

    async def give(self) -> None:
        """Run it; the function is removed whatever happened.

        Raises:
            Disproved: with the reason.
            Refused, Unavailable: as the API server answers.
        """
        deadline = time.monotonic() + self.settings.seconds
        await self._remove()
        try:
            await self._make(deadline)
            await self._wait_until_ready(deadline)
            if self.settings.closed:
                await self._knock_as_a_stranger()
            await self._invoke(deadline)
        finally:
            await self._remove()
            self.tell(f"Function {self._name} removed.")

    @property
    def _name(self) -> str:
        return f"{self.settings.namespace}/{self.settings.function}"

    @property
    def _item(self) -> str:
        return FUNCTIONS.item(self.settings.namespace, self.settings.function)

    async def _make(self, deadline: float) -> None:
        body = {
            "apiVersion": names.API_VERSION,
            "kind": "Function",
            "metadata": {"name": self.settings.function},
            "spec": {
                "runtime": self.settings.runtime,
                "handler": "index.handler",
                "memorySize": 256,
                "timeout": 10,
                "code": {"inline": CODE},
            },
        }
        while True:
            try:
                await self.client.request("POST", FUNCTIONS.collection(self.settings.namespace), body=body)
            except Refused as error:
                if error.status != 409 or time.monotonic() >= deadline:  # its predecessor is still going
                    raise
                await asyncio.sleep(self.pause)
            else:
                self.tell(f"Function {self._name} made ({self.settings.runtime}).")
                return

    async def _wait_until_ready(self, deadline: float) -> None:
        seen = "no condition: does the controller run?"
        while time.monotonic() < deadline:
            status = (await self.client.request("GET", self._item)).get("status") or {}
            for condition in status.get("conditions") or []:
                if condition["type"] == "Ready":
                    if condition["status"] == "True":
                        self.tell("It is Ready.")
                        return
                    seen = f"{condition['reason']}: {condition['message']}"
            await asyncio.sleep(self.pause)
        raise Disproved(f"the function did not become Ready; {seen}")

    async def _knock_as_a_stranger(self) -> None:
        status, body = await self._post({})
        if status not in (401, 403):
            raise Disproved(f"a caller without a token was answered {status}, not refused: {body!r}")
        self.tell(f"A caller without a token is refused ({status}).")

    async def _invoke(self, deadline: float) -> None:
        began = time.monotonic()
        while True:
            status, body = await self._post({"Authorization": f"Bearer {self.token}"})
            if status == 200:
                break
            if status not in NOT_YET or time.monotonic() >= deadline:
                raise Disproved(f"the gateway answered {status}: {body!r}")
            await asyncio.sleep(self.pause)
        wanted = {"hello": "Lambent", "function": self.settings.function}
        if body != wanted:
            raise Disproved(f"the function answered {body!r}, not {wanted!r}")
        self.tell(f"It answered {body!r} after {time.monotonic() - began:.1f} s.")

    async def _post(self, headers: dict[str, str]) -> tuple[int, Any]:
        # else a caller's own namespace is meant, and this one's is the release's
        headers = {**headers, "X-Lambent-Namespace": self.settings.namespace}
        url = f"{self.settings.url}/2015-03-31/functions/{self.settings.function}/invocations"
        try:
            async with self.session.post(
                url, json={"name": "Lambent"}, headers=headers, timeout=aiohttp.ClientTimeout(total=CALL_SECONDS)
            ) as answer:
                with suppress(ValueError, aiohttp.ContentTypeError):
                    return answer.status, await answer.json(content_type=None)
                return answer.status, (await answer.text())[:500]
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"the gateway {self.settings.url}: {error!r}") from error

    async def _remove(self) -> None:
        with suppress(Unavailable):
            try:
                await self.client.request("DELETE", self._item)
            except Refused as error:
                if error.status != 404:
                    raise

"""One execution environment of the suite: the real agent as a plain process, under it AWS's own client."""

from __future__ import annotations

from pathlib import Path

from tests.agent.driving import Agent, Answer, claim_of
from tests.runtimes.languages import Language

from lambent.agent.protocol.claims import ClaimAnswer

ARN = "arn:aws:lambda:eu-central-2:123456789012:function:suite"
OWN = {"COLOUR": "grün", "AWS_REGION": "mars"}


class Environment:
    """Claimed once, invoked by every test of its language."""

    def __init__(self, language: Language, folder: Path) -> None:
        self.language = language
        self.folder = folder
        self.bundle = language.build(folder)
        settings = {}
        if self.bundle.bootstrap is not None:
            settings = {
                "LAMBENT_BOOTSTRAP": str(self.bundle.bootstrap),
                "LAMBENT_RUNTIME_DIR": str(self.bundle.runtime),
            }
        elif self.bundle.runtime is None:
            settings = {"LAMBENT_BOOTSTRAP": "/no/such", "LAMBENT_RUNTIME_DIR": "/no/such"}
        settings["LAMBENT_PRESTART"] = "1" if self.bundle.waits else "0"
        self.agent = Agent(folder, managed=False, **settings)
        self.claimed: ClaimAnswer | None = None
        self._number = 0

    async def claim(self, **changes) -> ClaimAnswer:
        """Becomes the function of the suite; its init has to succeed."""
        caller = await self.agent.connect()
        fields = {
            "functionName": "suite",
            "arn": ARN,
            "version": "7",
            "region": "eu-central-2",
            "runtime": self.language.runtime,
            "handler": self.language.handler,
            "memoryMb": 512,
            "env": OWN,
            "initTimeoutMs": 60_000,
        }
        self.claimed = await caller.claim(claim_of(self.bundle.code, **{**fields, **changes}))
        assert self.claimed.error is None, (self.claimed, self.agent.log())
        await caller.close()
        return self.claimed

    async def invoke(self, do: str, *, timeout_ms: int = 60_000, headers: dict | None = None, **event) -> Answer:
        """One invocation, on a connection of its own."""
        self._number += 1
        caller = await self.agent.connect()
        try:
            return await caller.invoke(
                {"do": do, **event}, request_id=f"request-{self._number}", timeout_ms=timeout_ms, **(headers or {})
            )
        finally:
            await caller.close()

    async def result(self, do: str, **more):
        """What the handler returned; it has to have returned."""
        answer = await self.invoke(do, **more)
        assert answer.error is None, (answer, self.agent.log()[-2000:])
        return answer.json()

    def stop(self) -> None:
        self.agent.stop()

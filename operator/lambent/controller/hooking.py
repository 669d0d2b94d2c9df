"""Hooks of rollouts: the functions that are invoked to say whether a rollout goes on.

Which hooks are asked now is `core.rollout`'s decision, said again in every decision. Here one invocation for each of
them is kept going until it came to an end or nobody asks any more. A controller that was restarted does not know what
its predecessor began and invokes again: hooks are invoked at least once, with the same execution id.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import random
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from lambent.adapters.gateways import Invocation
from lambent.core.readiness import MESSAGE_CHARS_MAX
from lambent.core.rollout import AskHook, HookOutcome
from lambent.model.arns import parse_function_reference
from lambent.model.errors import Unavailable
from lambent.model.names import LATEST

log = logging.getLogger(__name__)


class Invoker(Protocol):
    """Gateways, to be asked to invoke."""

    async def invoke(self, url: str, target: str, event: bytes) -> Invocation:
        """Raises Unavailable."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an alias lives: its hooks are functions there."""

    uid: str
    """Of the Alias."""
    namespace: str
    account: str


def execution_id(key: bytes, deployment_id: str, event: str) -> str:
    """What a hook is told to report with: nobody can guess it, and a restarted controller says the same again."""
    digest = hmac.new(key, f"rollout hook/{deployment_id}/{event}".encode(), hashlib.sha256).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def pause(failures: int) -> float:
    """Seconds before the next try: 1 to 30, not everybody at the same moment."""
    return float(min(30.0, 2.0 ** min(failures - 1, 5)) * (0.75 + random.random() / 2))


@dataclass(slots=True)
class _Asked:
    ask: AskHook
    task: asyncio.Task[None] | None = None
    outcome: HookOutcome | None = None
    """The last one, as long as it is asked: what could not be written is written by the next decision."""


class HookRunner:
    """One invocation for every hook that is asked."""

    def __init__(
        self,
        gateways: Invoker,
        connected: Callable[[], list[str]],
        nudge: Callable[[str], None],
        wait: Callable[[int], float] = pause,
    ) -> None:
        self._gateways = gateways
        self._connected = connected
        """Addresses of the gateways that can be asked."""
        self._nudge = nudge
        """Called with the uid of an alias of whose hooks there is an outcome."""
        self._wait = wait
        self._asked: dict[str, dict[str, _Asked]] = {}
        """By uid of the alias and execution id."""

    def keep(self, place: Place, asks: Iterable[AskHook]) -> None:
        """These hooks of an alias are asked now and no others."""
        wanted = {ask.execution_id: ask for ask in asks}
        asked = self._asked.setdefault(place.uid, {})
        for identity, one in list(asked.items()):
            ask = wanted.get(identity)
            if ask is None or ask.hook.function_name != one.ask.hook.function_name:
                _end(asked.pop(identity))
            else:
                one.ask = ask
        for identity in wanted.keys() - asked.keys():
            one = asked[identity] = _Asked(wanted[identity])
            one.task = asyncio.create_task(
                self._run(place, one), name=f"{one.ask.event} hook of {one.ask.deployment_id}"
            )
        if not asked:
            del self._asked[place.uid]

    def outcomes(self, uid: str) -> list[tuple[AskHook, HookOutcome]]:
        """What is to be in the status of an alias, whether it is there already or not."""
        asked = self._asked.get(uid, {}).values()
        return [(one.ask, one.outcome) for one in asked if one.outcome is not None]

    def forget(self, uid: str) -> None:
        """The alias is gone."""
        for one in self._asked.pop(uid, {}).values():
            _end(one)

    async def close(self) -> None:
        """End everything: whoever leads next asks again."""
        tasks = [one.task for asked in self._asked.values() for one in asked.values() if one.task is not None]
        for uid in list(self._asked):
            self.forget(uid)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, place: Place, one: _Asked) -> None:
        """Until the function was reached and answered."""
        failures = 0
        while True:
            outcome = await self._invoke(place, one.ask, failures)
            if outcome != one.outcome:
                one.outcome = outcome
                self._nudge(place.uid)
            if outcome.kind != "NotInvoked":
                return
            failures += 1
            await asyncio.sleep(self._wait(failures))

    async def _invoke(self, place: Place, ask: AskHook, failures: int) -> HookOutcome:
        target = _target(place, ask.hook.function_name)
        if isinstance(target, HookOutcome):
            return target
        gateways = sorted(self._connected())
        if not gateways:
            return HookOutcome("NotInvoked", "no gateway is connected")
        event = {"DeploymentId": ask.deployment_id, "LifecycleEventHookExecutionId": ask.execution_id}
        try:
            # another gateway each time: what is in the way may be this one's
            url = gateways[failures % len(gateways)]
            answer = await self._gateways.invoke(url, target, json.dumps(event).encode())
        except Unavailable as error:
            log.info("hook %s of %s: %s", ask.event, ask.deployment_id, error)
            return HookOutcome("NotInvoked", "the gateway did not answer")
        except Exception as error:  # a hook that nobody asks any more after a mistake of ours would never fail
            log.exception("hook %s of %s", ask.event, ask.deployment_id)
            return HookOutcome("NotInvoked", repr(error)[:MESSAGE_CHARS_MAX])
        return _outcome(answer)


def _end(one: _Asked) -> None:
    if one.task is not None:
        one.task.cancel()


def _target(place: Place, function_name: str) -> str | HookOutcome:
    """`<namespace>/<function>:<qualifier>`, or what is wrong with the name of the hook."""
    reference = parse_function_reference(function_name)
    if reference is None:
        return HookOutcome("NotInvoked", f"{function_name} is no name of a function")
    if reference.account not in (None, place.account):
        return HookOutcome(
            "NotInvoked",
            f"{function_name} is a function of another account: a hook is a function of the alias's namespace, "
            f"{place.namespace}, which is account {place.account}",
        )
    return f"{place.namespace}/{reference.name}:{reference.qualifier or LATEST}"


def _outcome(answer: Invocation) -> HookOutcome:
    text = answer.body.decode(errors="replace")
    if answer.status == 200:
        if answer.function_error:
            return HookOutcome("Failed", f"{answer.function_error}: {text}"[:MESSAGE_CHARS_MAX])
        return HookOutcome("Succeeded")
    # throttled, without an environment, unknown as yet: the function was not reached
    return HookOutcome("NotInvoked", f"answered {answer.status}: {text}"[:MESSAGE_CHARS_MAX])

"""Which hook of which rollout reports here, and what becomes of its report?

Hooks are known by the SHA-256 of their execution ids, which the statuses of aliases hold; whoever knows the id itself
is the hook. What was reported stands in `status.hookResults` and is never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from lambent.model.alias_statuses import HookResult
from lambent.model.aliases import AliasObject

from .version_routes import Place


class Verdict(Enum):
    """What a report is."""

    NEW = "new"
    """To be recorded."""
    KNOWN = "known"
    """The same was reported before."""
    LATE = "late"
    """Another was reported before, or nobody waits for one any more."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One hook of an alias's rollout."""

    place: Place
    resource_version: str
    """Of the alias when it was seen so: a report is written on exactly this state, or not at all."""
    digest: str
    deployment_id: str
    awaited: bool
    """Whether the rollout goes on and this hook has not reported."""
    results: Mapping[str, HookResult]
    """Every report on this rollout's hooks, by digest."""

    def verdict(self, status: str) -> Verdict:
        """What `Succeeded` or `Failed` is, reported now."""
        known = self.results.get(self.digest)
        if known is not None:
            return Verdict.KNOWN if known.status == status else Verdict.LATE
        return Verdict.NEW if self.awaited else Verdict.LATE

    def results_with(self, status: str, at: str) -> list[dict[str, str]]:
        """`status.hookResults` with this report; those of earlier rollouts are left out. `at`: RFC 3339."""
        kept = [result.model_dump(by_alias=True) for result in self.results.values()]
        return [*kept, {"executionIdSha256": self.digest, "status": status, "reportedAt": at}]


class HookIndex:
    """The hooks of every alias's current rollout."""

    def __init__(self) -> None:
        self._hooks: dict[str, Hook] = {}
        self._digests: dict[Place, tuple[str, ...]] = {}

    def find(self, digest: str) -> Hook | None:
        """The hook whose execution id has this digest (hexadecimal)."""
        return self._hooks.get(digest)

    def observe(self, alias: AliasObject, resource_version: str) -> None:
        """An Alias exists as shown."""
        place = (alias.namespace, alias.name)
        self.forget(place)
        rollout = alias.status.rollout
        if rollout is None or alias.deleting:
            return
        digests = {hook.execution_id_sha256 for hook in rollout.hooks}
        results = {
            result.execution_id_sha256: result
            for result in alias.status.hook_results
            if result.execution_id_sha256 in digests
        }
        for hook in rollout.hooks:
            found = Hook(
                place=place,
                resource_version=resource_version,
                digest=hook.execution_id_sha256,
                deployment_id=rollout.deployment_id,
                awaited=hook.state == "InProgress" and not rollout.ended,
                results=results,
            )
            self._hooks.setdefault(found.digest, found)  # a copy of somebody's status takes nothing from him
        self._digests[place] = tuple(digests)

    def forget(self, place: Place) -> None:
        """An Alias object is gone."""
        for digest in self._digests.pop(place, ()):
            if self._hooks.get(digest) is not None and self._hooks[digest].place == place:
                del self._hooks[digest]

"""Which environments ended because the function used up what it may? Told as Events, each end once.

The note says what is the limit and what to do, and never which pod: the same thing said again is one Event with a
count. That an environment ended so says nothing about the next one, so no condition speaks of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lambent.model.conditions import Reason
from lambent.model.environments import EnvironmentPod, PodFailure
from lambent.model.functions import FunctionConfiguration


@dataclass(frozen=True, slots=True)
class Exhaustion:
    """What is to be told, and which pods' ends need not be looked at again (uids)."""

    told: tuple[tuple[Reason, str], ...]
    state: frozenset[str]


def decide(pods: Iterable[EnvironmentPod], spec: FunctionConfiguration, state: frozenset[str]) -> Exhaustion:
    """What to tell of pods that ended since."""
    ended = {pod.uid: pod.blocked for pod in pods if pod.blocked is not None and _is_over(pod, pod.blocked)}
    notes = (_note(failure, spec) for uid, failure in ended.items() if uid not in state)
    return Exhaustion(tuple(note for note in notes if note is not None), frozenset(ended))


def _is_over(pod: EnvironmentPod, failure: PodFailure) -> bool:
    return pod.finished or failure.exit_code is not None


def _note(failure: PodFailure, spec: FunctionConfiguration) -> tuple[Reason, str] | None:
    if failure.out_of_memory:
        return Reason.OUT_OF_MEMORY, (
            f"An environment ran out of memory (memorySize is {spec.memory_size} MB) and was replaced; the request in "
            "it was answered Runtime.ExitError, signal: killed. Give the function more memorySize."
        )
    if failure.out_of_storage:
        return Reason.EPHEMERAL_STORAGE_EXCEEDED, (
            f"An environment was evicted and replaced: {' '.join(failure.message.split())} (ephemeralStorage.size is "
            f"{spec.ephemeral_storage.size} MB). The request in it was answered Runtime.ExitError. Write less to /tmp, "
            "give it a larger size, or let it be in memory (ephemeralStorage.medium: Memory), where it is ENOSPC."
        )
    return None

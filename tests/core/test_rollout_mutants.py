"""Each rule of a rollout has a mutant, and the histories of `rollout_histories` catch every one of them."""

from dataclasses import replace

import pytest
from tests.core.rollout_histories import history, play

from lambent.core import rollout, rollout_endings, rollout_hooks, rollout_moves, rollout_steps
from lambent.model.alias_statuses import Routing

ENOUGH = 400
"""Histories within which a mutant has to be caught."""

ended, failure, judge, next_step = rollout.ended, rollout_hooks.failure, rollout_moves.judge, rollout_steps.next_step
release, share, heard, circumstances = rollout_steps.release, rollout.share, rollout_hooks.heard, rollout.Circumstances


def runs_on(rollout, now):
    moved = release(rollout, now)
    return moved.model_copy(update={"step_started_at": rollout.step_started_at})


def shared_by_three(rollout):
    routing = share(rollout)
    return Routing(function_version="3", additional_version_weights=routing.additional_version_weights)


def skipping(rollout, now):
    return next_step(rollout.model_copy(update={"promoted": True}), now).model_copy(update={"promoted": False})


MUTANTS = {
    "an alarm that is on changes nothing": (
        rollout_moves, "judge", lambda *given: replace(judge(*given), breach=""),
    ),
    "what cannot be asked is taken for well": (
        rollout_moves, "judge", lambda *given: replace(judge(*given), waiting=""),
    ),
    "missing data counts before there is traffic": (
        rollout_moves, "judge", lambda *given: judge(*given[:3], given[3] or 0.0),
    ),
    "missing data is a breach at once": (
        rollout_moves, "judge", lambda *given: judge(*given[:3], None if given[3] is None else 9999.0),
    ),
    "a pause is not seen": (rollout, "Circumstances", lambda **given: circumstances(**given | {"paused": False})),
    "a target that is missing holds nothing": (
        rollout, "Circumstances", lambda **given: circumstances(**given | {"astray": None}),
    ),
    "the step's time runs on while the rollout is held": (rollout_moves.rollout_steps, "release", runs_on),
    "the steps are skipped": (rollout_moves.rollout_steps, "next_step", skipping),
    "a third version has traffic": (rollout, "share", shared_by_three),
    "the traffic stays where it is when a rollout is taken back": (rollout, "routing_after", share),
    "what was taken back begins again": (rollout, "was_taken_back", lambda rollout: False),
    "the generation that saw the end is not kept": (
        rollout, "ended", lambda one, ending, _, now: ended(one, ending, one.generation - 1, now),
    ),
    "another target in the middle is not seen": (rollout._Making, "follow_target", lambda making: None),
    "a version that is deleted is not seen": (rollout._Making, "drop_missing", lambda making: None),
    "a request is taken away and nothing done": (
        rollout._Making, "answer_request", lambda making: setattr(making, "take_request", bool(making.seen.alias.request)),
    ),
    "a hook may be silent for ever": (rollout_hooks, "patience", lambda *given: 1.0),
    "a hook's report is not read": (rollout_hooks, "heard", lambda rollout, results: rollout),
    "a hook that fails is no failure": (rollout_hooks, "failure", lambda *given: None),
    "the hook's word from before counts for every rollout": (
        rollout_hooks, "asked", lambda rollout, event: next(iter(rollout.hooks), None),
    ),
    "a rollout reads alarms that were read for another": (
        rollout._Making, "unread", property(lambda making: False, lambda making, value: None),
    ),
}  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_histories_catch_the_mutant(mutant, monkeypatch):
    where, name, wrong = MUTANTS[mutant]
    monkeypatch.setattr(where, name, wrong, raising=where is not rollout._Making)
    assert any(_is_caught(seed) for seed in range(ENOUGH)), f"nothing notices that {mutant}"


def _is_caught(seed):
    try:
        play(history(seed))
    except AssertionError:
        return True
    return False


def test_the_histories_are_fine_with_what_is_no_mutant():
    assert not any(_is_caught(seed) for seed in range(20))
    assert rollout.routing_after is rollout_endings.routing_after

"""`core.rollout` does what a model of a rollout in simple rules of its own does, whatever happens in whichever order."""

from collections import Counter

import pytest
from tests.core.rollout_histories import history, play

HISTORIES = 2000
PART = 100


@pytest.mark.parametrize("first", range(0, HISTORIES, PART))
def test_a_rollout_is_what_the_model_says_in_every_history(first):
    met, decisions = Counter(), 0
    for seed in range(first, first + PART):
        events = history(seed)
        try:
            story = play(events)
        except Exception as error:
            raise AssertionError(f"history {seed}: {events}") from error
        met += story.met
        decisions += story.decisions
    print(f"{PART} histories, {decisions} decisions: {dict(met.most_common())}")
    assert met.keys() >= {
        "Succeeded", "RolledBack", "Stopped", "Superseded", "Available", "RolloutInProgress", "RolloutPaused",
        "RolloutHeld", "VersionNotFound",
    }  # fmt: skip

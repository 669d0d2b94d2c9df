"""`core.rollout` does what a model of a rollout in simple rules of its own does, whatever happens in whichever order."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.rollout_histories import PLANS, STATES, TARGETS, history, play

HISTORIES = 2000


def test_a_rollout_is_what_the_model_says_in_every_history():
    met, decisions = Counter(), 0
    for seed in range(HISTORIES):
        events = history(seed)
        try:
            story = play(events)
        except Exception as error:
            raise AssertionError(f"history {seed}: {events}") from error
        met += story.met
        decisions += story.decisions
    print(f"{HISTORIES} histories, {decisions} decisions: {dict(met.most_common())}")
    assert met.keys() >= {
        "Succeeded", "RolledBack", "Stopped", "Superseded", "Available", "RolloutInProgress", "RolloutPaused",
        "RolloutHeld", "VersionNotFound",
    }  # fmt: skip


EVENTS = st.one_of(
    st.tuples(st.just("wait"), st.integers(1, 200)),
    st.tuples(st.just("alarm"), st.sampled_from("abc"), st.sampled_from(STATES)),
    st.tuples(st.just("report"), st.sampled_from(["Succeeded", "Failed"])),
    st.tuples(st.just("invoked"), st.sampled_from(["Succeeded", "Failed", "NotInvoked"])),
    st.tuples(st.just("request"), st.sampled_from(["pause", "", "promote", "abort", "bogus"])),
    st.tuples(st.just("target"), st.sampled_from([*TARGETS, None])),
    st.tuples(st.just("plan"), st.sampled_from(list(PLANS))),
    st.tuples(st.just("touch")),
    st.tuples(st.just("weigh"), st.sampled_from("123"), st.sampled_from("123"), st.floats(0, 1)),
    st.tuples(st.just("delete"), st.sampled_from("123")),
)


@settings(max_examples=150)
@given(st.lists(EVENTS, max_size=20))
def test_a_rollout_is_what_the_model_says_in_histories_that_can_be_shrunk(events):
    play([("alarm", "a", "OK"), ("plan", "hooks"), *events])

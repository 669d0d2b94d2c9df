"""The same as in `test_rollout_model`, in histories that Hypothesis makes up and shrinks."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.rollout_histories import PLANS, STATES, TARGETS, play

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


@settings(max_examples=200)
@given(st.lists(EVENTS, max_size=20))
def test_a_rollout_is_what_the_model_says_in_histories_that_can_be_shrunk(events):
    play([("alarm", "a", "OK"), ("plan", "hooks"), *events])

"""What rollouts watch: gateways' counters by way of the demand board, and queries to a Prometheus."""

from __future__ import annotations

import pytest
from tests.controller.alias_rooms import AWAY, ERRORS, PROMETHEUS, STEPS, AliasRoom, FakePrometheus
from tests.controller.rooms import GATEWAY, Clock

from lambent.controller.demanding import DemandBoard
from lambent.controller.metering import Metering
from lambent.model.environments import Counters, Demand, Key, Scope

ONE, TWO = Scope("u", "1"), Scope("u", "2")


class Board:
    """A board with one gateway, and a meter of two aliases behind it."""

    def __init__(self):
        self.nudged = []
        self.clock = Clock()
        self.board = DemandBoard(lambda _uid: None, self.clock)
        self.metering = Metering(self.board, self.nudged.append, self.clock)
        self.board.expect(GATEWAY)
        self.board.found(GATEWAY)

    def say(self, version, invocations, errors=0, throttles=0, gateway=GATEWAY):
        counters = Counters(invocations, errors, throttles, (invocations,))
        self.board.note(gateway, Demand(1, Key("u", version, "r"), 0, 0, 0, counters=counters))

    def window(self, alias="alias", seconds=30.0):
        return self.metering.window(alias, seconds)


@pytest.fixture
def board():
    return Board()


def test_what_nobody_watches_is_not_kept(board):
    board.say("1", 5)
    assert board.window() is None
    board.metering.watch("alias", ONE, 60)
    board.say("2", 5)
    assert board.window().invocations == 0


def test_counting_begins_with_what_was_said_last_before(board):
    """Else the first second of a bad version would not count."""
    board.say("1", 100, errors=7)
    board.metering.watch("alias", ONE, 60)
    assert (board.window().invocations, board.nudged) == (0, [])
    board.clock.now += 0.3
    board.say("1", 110, errors=9)
    assert (board.window().invocations, board.window().errors) == (10, 2)
    assert board.nudged == ["alias"]


def test_lines_of_every_gateway_add_up(board):
    board.board.expect("http://two")
    board.board.found("http://two")
    board.metering.watch("alias", ONE, 60)
    board.say("1", 100)
    board.say("1", 7, gateway="http://two")
    board.clock.now += 30
    board.say("1", 110, errors=2)
    board.say("1", 8, throttles=3, gateway="http://two")
    window = board.window()
    assert (window.invocations, window.errors, window.throttles, window.watched) == (11, 2, 3, 30)


def test_two_aliases_may_watch_one_version(board):
    board.metering.watch("one", ONE, 60)
    board.metering.watch("other", ONE, 60)
    board.say("1", 0)
    board.metering.forget("one")
    board.clock.now += 1
    board.say("1", 3)
    assert board.window("one") is None
    assert board.window("other").invocations == 3
    board.metering.forget("other")
    assert board.window("other") is None


def test_an_alias_watches_one_version_at_a_time(board):
    board.metering.watch("alias", ONE, 60)
    board.say("1", 0)
    board.clock.now += 1
    board.say("1", 3)
    assert board.window().invocations == 3
    board.metering.watch("alias", TWO, 60)
    assert board.window().invocations == 0
    board.metering.watch("alias", ONE, 60)
    assert board.window().invocations == 0


def test_errors_and_throttles_are_told_at_once_and_nothing_else_is(board):
    """Whoever watches looks once a second anyway; what may be a breach does not wait for that."""
    board.metering.watch("alias", ONE, 60)
    board.say("1", 5, errors=5)
    board.say("1", 500, errors=5)
    assert board.nudged == []
    board.say("1", 501, errors=6)
    board.say("1", 501, errors=6, throttles=1)
    assert board.nudged == ["alias", "alias"]
    board.say("2", 10, errors=10)
    board.say("2", 20, errors=20)
    assert board.nudged == ["alias", "alias"]


BREAKS = {
    "a stream that is lost": lambda board: board.lose(GATEWAY),
    "a stream that is lost and found": lambda board: (board.lose(GATEWAY), board.found(GATEWAY)),
    "a gateway that goes": lambda board: board.forget(GATEWAY),
    "a gateway that comes": lambda board: board.expect("http://new"),
    "a gateway that comes and is found": lambda board: (board.expect("http://new"), board.found("http://new")),
}


@pytest.mark.parametrize("break_", BREAKS.values(), ids=BREAKS)
def test_a_break_begins_every_window_anew(board, break_):
    """What happened in it is not known to us, however short it was."""
    board.metering.watch("alias", ONE, 60)
    board.clock.now += 30
    assert board.window().watched == 30
    break_(board.board)
    assert board.window().watched == 0


def test_as_long_as_a_gateway_is_there_and_not_heard_nothing_is_watched(board):
    """Also when its last word does not count for anything else any more."""
    board.metering.watch("alias", ONE, 60)
    board.board.expect("http://deaf")
    board.clock.now += 3600
    assert board.window().watched == 0
    board.board.forget("http://deaf")
    board.clock.now += 20
    assert board.window().watched == 20


def test_without_any_gateway_nothing_is_watched(board):
    board.metering.watch("alias", ONE, 60)
    board.board.forget(GATEWAY)
    board.clock.now += 3600
    assert board.window().watched == 0


# --- Prometheus -----------------------------------------------------------------------------------------------------


class PrometheusRoom(AliasRoom):
    prometheus = FakePrometheus()


@pytest.fixture
async def room(api):
    PrometheusRoom.prometheus = FakePrometheus()
    made = PrometheusRoom(api)
    made.function()
    made.publish("1")
    yield made
    await made.aliases.close()


async def rolling(room, *alarms):
    uid = room.alias(functionVersion="1")
    await room.work(uid)
    room.publish("2")
    room.point(functionVersion="2", rollout={**STEPS, "alarms": list(alarms)})
    await room.work(uid)
    return uid


def alarm(room):
    [one] = room.rollout()["alarms"]
    return one["state"], one["message"]


async def test_a_query_that_is_over_its_threshold_takes_the_traffic_back(room):
    """Nobody waits for the time of the next look: the answer nudges."""
    uid = await rolling(room, PROMETHEUS)
    assert room.prometheus.asked == ['x{v="2"}']
    assert (room.routing(), alarm(room)[0]) == ("1+2:0.1", "OK")
    room.prometheus.answer = 6.0
    await room.poll()
    assert uid in room.nudged
    await room.work(uid)
    assert (room.routing(), room.phase()) == ("1", "RolledBack")
    assert "6" in room.message()
    asked = len(room.prometheus.asked)
    await room.poll()
    assert len(room.prometheus.asked) == asked, "what has ended asks nothing"


async def test_a_prometheus_that_is_down_holds_the_rollout_and_promotes_nothing(room):
    """As long as it lasts; then the step goes on where it was."""
    uid = await rolling(room, PROMETHEUS)
    room.prometheus.answer = AWAY
    await room.poll()
    await room.work(uid)
    for _ in range(5):
        await room.later(uid, 3600)
    assert (room.routing(), room.said()["Ready"]) == ("1+2:0.1", "RolloutHeld")
    assert alarm(room) == ("UNAVAILABLE", "Prometheus cannot be asked: connection refused")
    room.prometheus.answer = 1.0
    await room.poll()
    await room.work(uid)
    assert (room.routing(), room.said()["Ready"]) == ("1+2:0.1", "RolloutInProgress")
    for _ in range(12):
        assert room.routing() == "1+2:0.1"
        room.clock.now += 5
        await room.poll()
        await room.work(uid)
    assert room.routing() == "1+2:0.5"


async def test_an_answer_that_is_old_says_nothing_of_now(room):
    """The question that should have followed it hangs somewhere."""
    uid = await rolling(room, PROMETHEUS)
    await room.later(uid, 15)
    assert room.said()["Ready"] == "RolloutInProgress"
    await room.later(uid, 1)
    assert alarm(room) == ("UNAVAILABLE", "Prometheus cannot be asked: its last answer is 16 s old")


async def test_a_query_that_was_not_answered_yet_holds(room):
    room.prometheus.answer = AWAY
    await rolling(room, PROMETHEUS)
    assert (room.routing(), room.said()["Ready"]) == ("1", "RolloutHeld")


@pytest.mark.parametrize("answer", [None, float("nan")], ids=["no sample", "NaN"])
async def test_no_sample_is_missing_data_and_no_failure(room, answer):
    room.prometheus.answer = answer
    await rolling(room, PROMETHEUS)
    assert (room.routing(), alarm(room)[0]) == ("1+2:0.1", "INSUFFICIENT_DATA")


async def test_a_mistake_in_asking_is_a_failure_and_is_asked_again(room):
    room.prometheus.answer = RuntimeError("oh")
    uid = await rolling(room, PROMETHEUS)
    assert room.said()["Ready"] == "RolloutHeld"
    room.prometheus.answer = 1.0
    await room.poll()
    await room.work(uid)
    assert room.routing() == "1+2:0.1"


async def test_another_query_in_the_middle_is_asked_instead(room):
    uid = await rolling(room, PROMETHEUS)
    other = {**PROMETHEUS, "prometheus": {"query": "y"}}
    room.point(rollout={**STEPS, "alarms": [other]})
    await room.work(uid)
    room.prometheus.asked.clear()
    await room.poll()
    assert room.prometheus.asked == ["y"]


async def test_a_restarted_controller_asks_before_it_goes_on(room):
    uid = await rolling(room, PROMETHEUS)
    room.clock.now += 60
    await room.crash()
    room.prometheus.answer = 6.0
    await room.work(uid)
    assert (room.routing(), room.phase()) == ("1", "RolledBack")


async def test_without_a_prometheus_the_rollout_is_held_and_says_why(api):
    room = AliasRoom(api)
    room.function()
    room.publish("1")
    await rolling(room, PROMETHEUS)
    assert (room.routing(), room.said()["Ready"]) == ("1", "RolloutHeld")
    assert alarm(room) == ("UNAVAILABLE", "Prometheus cannot be asked: this installation has no prometheus.url")


async def test_both_kinds_of_alarm_count(room):
    uid = await rolling(room, PROMETHEUS, ERRORS)
    room.serve("2", 0)
    await room.later(uid, 1, lambda: room.serve("2", 20, errors=20))
    assert (room.routing(), room.phase()) == ("1", "RolledBack")

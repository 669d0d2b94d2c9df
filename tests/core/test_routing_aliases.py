"""Where an alias leads: `status.routing` alone, moved at once, never to a version that it does not name."""

from __future__ import annotations

import math
import random

import pytest
from tests.bench.binomials import interval
from tests.gateway.clusters import function
from tests.gateway.publications import alias, version

from lambent.core.routing import RoutingTable
from lambent.model.aliases import AliasObject
from lambent.model.arns import account_id, parse_function_reference
from lambent.model.errors import ResourceConflict, ResourceNotFound
from lambent.model.functions import FunctionObject
from lambent.model.versions import VersionObject

HELLO = function()
ARN = f"arn:aws:lambda:us-east-1:{account_id('uid-1')}:function:hello"


@pytest.fixture
def table():
    table = RoutingTable("us-east-1", "default")
    table.observe_namespace("default", "uid-1", "2026-01-01", None)
    table.observe_function(FunctionObject.from_kubernetes(HELLO))
    return table


def publish(table: RoutingTable, *numbers: int) -> None:
    for number in numbers:
        table.observe_version(VersionObject.from_kubernetes(version(HELLO, number)))


def unpublish(table: RoutingTable, number: int) -> None:
    table.forget_version("default", f"hello.{number}")


def point(table: RoutingTable, *versions, weight: float | None = None, name: str = "live", **changes) -> None:
    table.observe_alias(AliasObject.from_kubernetes(alias(HELLO, name, *versions, weight=weight, **changes)))


def led_to(table: RoutingTable, roll: float = 0.0, name: str = "live", text: str = "hello") -> str:
    return table.resolve(parse_function_reference(text), name, None, roll).version


def refusal(table: RoutingTable, name: str = "live") -> str:
    with pytest.raises(ResourceNotFound) as raised:
        led_to(table, name=name)
    return raised.value.message


def test_an_alias_leads_to_its_version(table):
    publish(table, 1, 2)
    point(table, 2)
    route = table.resolve(parse_function_reference("hello"), "live", None, 0.999)
    assert (route.version, route.arn_as_invoked("live")) == ("2", f"{ARN}:live")


def test_an_alias_may_lead_to_latest(table):
    point(table, "$LATEST")
    assert led_to(table) == "$LATEST"


def test_an_alias_to_latest_that_cannot_be_invoked_yet_says_so(table):
    table.observe_function(FunctionObject.from_kubernetes(function("new", status={"podRevision": None})))
    other = alias(function("new"), "live", "$LATEST")
    table.observe_alias(AliasObject.from_kubernetes(other))
    with pytest.raises(ResourceConflict, match="Pending"):
        led_to(table, text="new")


@pytest.mark.parametrize(("roll", "expected"), [(0.0, "2"), (0.2499, "2"), (0.25, "1"), (0.9999, "1")], ids=str)
def test_the_additional_version_gets_the_rolls_below_its_weight(table, roll, expected):
    publish(table, 1, 2)
    point(table, 1, 2, weight=0.25)
    assert led_to(table, roll) == expected


@pytest.mark.parametrize(("weight", "expected"), [(0, {"1"}), (1, {"2"})], ids=["nothing", "everything"])
def test_a_weight_of_nothing_or_all_is_that(table, weight, expected):
    publish(table, 1, 2)
    point(table, 1, 2, weight=weight)
    assert {led_to(table, roll) for roll in (0.0, 0.5, 1 - 2**-53)} == expected


def test_the_old_routing_stays_until_every_version_of_the_new_one_is_there(table):
    publish(table, 1)
    point(table, 1)
    point(table, 2, 3, weight=0.5)
    assert {led_to(table, roll) for roll in (0.1, 0.9)} == {"1"}
    publish(table, 3)
    assert {led_to(table, roll) for roll in (0.1, 0.9)} == {"1"}
    publish(table, 2)
    assert {led_to(table, roll) for roll in (0.1, 0.9)} == {"2", "3"}


def test_a_newer_routing_replaces_one_that_waits(table):
    publish(table, 1, 2)
    point(table, 1)
    point(table, 9)
    point(table, 2)
    assert led_to(table) == "2"
    publish(table, 9)
    assert led_to(table) == "2"


def test_of_two_versions_of_which_one_goes_the_other_gets_everything(table):
    publish(table, 1, 2)
    point(table, 1, 2, weight=0.5)
    unpublish(table, 2)
    assert {led_to(table, roll) for roll in (0.1, 0.9)} == {"1"}
    publish(table, 2)
    unpublish(table, 1)
    assert {led_to(table, roll) for roll in (0.1, 0.9)} == {"2"}


def test_an_alias_all_of_whose_versions_are_gone_is_not_found(table):
    publish(table, 1, 2)
    point(table, 1, 2, weight=0.5)
    unpublish(table, 1)
    unpublish(table, 2)
    assert refusal(table) == f"Function not found: {ARN}:live"


def test_a_routing_that_waits_serves_what_is_there_of_it_when_the_old_one_leads_nowhere(table):
    """Half of what it names is better than nothing."""
    publish(table, 1)
    point(table, 1)
    publish(table, 2)
    point(table, 2, 3, weight=0.9)
    unpublish(table, 1)
    assert {led_to(table, roll) for roll in (0.1, 0.95)} == {"2"}


def test_an_alias_that_points_nowhere_yet_is_not_found(table):
    publish(table, 1)
    point(table)
    assert refusal(table) == f"Function not found: {ARN}:live"


def test_an_alias_is_the_functions_of_its_name_and_namespace(table):
    """Owner references are for the garbage collector: anybody may write them."""
    publish(table, 1)
    point(table, 1, functionName="another")
    assert refusal(table)
    point(table, 1, metadata={"namespace": "theirs"})
    assert refusal(table)
    point(table, 1, metadata={"ownerReferences": []})
    assert led_to(table) == "1"


def test_an_alias_waits_for_a_version_of_whichever_object_has_the_functions_name(table):
    """Deleted and made again under another object name, it is the same function to its callers."""
    publish(table, 1)
    point(table, 1)
    table.forget_function("default", "hello")
    again = function("again", function_name="hello")
    table.observe_function(FunctionObject.from_kubernetes(again))
    assert refusal(table)
    table.observe_version(VersionObject.from_kubernetes(version(again, 2)))
    point(table, 2)
    assert led_to(table) == "2"


def test_of_two_aliases_with_one_name_the_older_wins(table):
    publish(table, 1, 2)
    point(table, 2, object_name="a", metadata={"creationTimestamp": "2026-01-02T00:00:00Z"})
    point(table, 1, object_name="b", metadata={"creationTimestamp": "2026-01-01T00:00:00Z"})
    assert led_to(table) == "1"
    table.forget_alias("default", "b")
    assert led_to(table) == "2"


def test_an_alias_made_again_begins_anew(table):
    """What was in force for the old object does not count for the new one."""
    publish(table, 1)
    point(table, 1)
    point(table, 7, metadata={"uid": "another"})
    assert refusal(table)


def test_a_deleted_alias_is_not_found(table):
    publish(table, 1)
    point(table, 1)
    point(table, 1, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    assert refusal(table)
    table.forget_alias("default", "hello.live")
    assert list(table.alias_objects()) == []


HOSTILE = {
    "a name like a number": {"name": "7"},
    "three versions": {"status": {"routing": {"functionVersion": "2", "additionalVersionWeights": {"1": 0, "3": 1}}}},
    "no version": {"status": {"routing": {"functionVersion": "2", "additionalVersionWeights": {"../3": 0.5}}}},
    "latest as an addition": {
        "status": {"routing": {"functionVersion": "2", "additionalVersionWeights": {"$LATEST": 0.5}}}
    },
    "a negative weight": {"status": {"routing": {"functionVersion": "2", "additionalVersionWeights": {"3": -0.1}}}},
    "more than all": {"status": {"routing": {"functionVersion": "2", "additionalVersionWeights": {"3": 1.1}}}},
    "not a number": {"status": {"routing": {"functionVersion": "2", "additionalVersionWeights": {"3": math.nan}}}},
}


@pytest.mark.parametrize("row", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_cannot_be_meant_is_refused_and_the_last_good_routing_stays(table, row):
    publish(table, 1, 2, 3, 7)
    point(table, 1)
    changes = {"name": "live", **row}
    with pytest.raises(ValueError):
        point(table, 2, object_name="hello.live", **changes)
    assert led_to(table) == "1"
    assert led_to(table, name="7") == "7"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello", "2"),
        (f"{account_id('uid-1')}:function:hello", "2"),
        (ARN, "2"),
    ],
    ids=["name", "partial ARN", "ARN"],
)
def test_every_spelling_of_the_function_takes_a_qualifier(table, text, expected):
    publish(table, 1, 2)
    point(table, 2)
    assert led_to(table, text=text) == expected
    assert led_to(table, name="1", text=text) == "1"


@pytest.mark.parametrize("weight", [0.05, 0.1, 0.5])
def test_the_split_at_100_000_rolls_lies_in_the_exact_interval(table, weight):
    """R9, the routing's part: 99.9 %."""
    publish(table, 1, 2)
    point(table, 1, 2, weight=weight)
    dice, n = random.Random(20_261_128), 100_000
    reference = parse_function_reference("hello")
    counted = sum(table.resolve(reference, "live", None, dice.random()).version == "2" for _ in range(n))
    low, high = interval(n, weight, 0.999)
    assert low <= counted <= high
    assert high - low < 0.02 * n

"""The table against a model that knows no order: the same objects give the same routes, however they came.

For aliases the model keeps what was said and what was served, and holds the table to the promises: a complete routing
is served as it says, an incomplete one leaves the old one as it is, and no version is ever served that the routing in
force does not name.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.gateway.clusters import function
from tests.gateway.publications import alias, version

from lambent.core.routing import RoutingTable
from lambent.model.aliases import AliasObject
from lambent.model.arns import parse_function_reference
from lambent.model.environments import Key
from lambent.model.errors import LambdaError
from lambent.model.functions import FunctionObject
from lambent.model.versions import VersionObject

FUNCTIONS = {name: function(name) for name in ("one", "two")}
NUMBERS, COPIES, NAMES = ("1", "2", "3"), ("a", "b"), ("live", "test")
ROLLS = (0.0, 0.3, 0.7, 0.99)

functions, numbers, copies = st.sampled_from(sorted(FUNCTIONS)), st.sampled_from(NUMBERS), st.sampled_from(COPIES)
pointings = st.one_of(
    st.tuples(st.sampled_from((*NUMBERS, "$LATEST"))),
    st.tuples(numbers, numbers, st.sampled_from((0.0, 0.5, 1.0))).filter(lambda pointing: pointing[0] != pointing[1]),
)
Pointing = tuple


def versions_of(pointing: Pointing) -> set[str]:
    return set(pointing[:2])


class Tables(RuleBasedStateMachine):
    """Objects come, change and go in any order, also before their function and after it."""

    def __init__(self) -> None:
        super().__init__()
        self.table = RoutingTable("us-east-1", "default")
        self.functions: set[str] = set()
        self.versions: dict[tuple[str, str, str], str] = {}
        """(function, number, copy) → podRevision."""
        self.said: dict[tuple[str, str], list[Pointing]] = {}
        """Every routing that an alias had, the newest last."""
        self.served: dict[tuple[str, str], dict[float, str | None]] = {}
        self.routed: dict[Key, str] = {}
        """What the changes that were told add up to."""

    def told(self, changes) -> None:
        for change in changes:
            scope = Key(change.uid, change.version, "")
            assert (change.before.key.pod_revision if change.before else None) == self.routed.get(scope)
            assert change.before != change.after
            if change.after is None:
                self.routed.pop(scope, None)
            else:
                self.routed[scope] = change.after.key.pod_revision

    # --- what happens -------------------------------------------------------------------------------------------

    @rule(name=functions)
    def function_comes(self, name) -> None:
        self.functions.add(name)
        self.told(self.table.observe_function(FunctionObject.from_kubernetes(FUNCTIONS[name])))

    @rule(name=functions)
    def function_goes(self, name) -> None:
        self.functions.discard(name)
        self.told(self.table.forget_function("default", name))

    @rule(name=functions, number=numbers, copy=copies, revision=st.sampled_from(("x", "y")))
    def version_comes(self, name, number, copy, revision) -> None:
        self.versions[name, number, copy] = revision
        body = version(FUNCTIONS[name], number, f"{name}-{number}-{copy}", status={"podRevision": revision})
        self.told(self.table.observe_version(VersionObject.from_kubernetes(body)))

    @rule(name=functions, number=numbers, copy=copies)
    def version_goes(self, name, number, copy) -> None:
        self.versions.pop((name, number, copy), None)
        self.told(self.table.forget_version("default", f"{name}-{number}-{copy}"))

    @rule(name=functions, label=st.sampled_from(NAMES), pointing=pointings)
    def alias_points(self, name, label, pointing) -> None:
        self.said.setdefault((name, label), []).append(pointing)
        weight = pointing[2] if len(pointing) > 2 else None
        body = alias(FUNCTIONS[name], label, *pointing[:2], weight=weight)
        self.table.observe_alias(AliasObject.from_kubernetes(body))

    @rule(name=functions, label=st.sampled_from(NAMES))
    def alias_goes(self, name, label) -> None:
        self.said.pop((name, label), None)
        self.served.pop((name, label), None)
        self.table.forget_alias("default", f"{name}.{label}")

    # --- what must be so ----------------------------------------------------------------------------------------

    def routable(self, name: str) -> dict[str, str]:
        """Version → podRevision, by the objects alone."""
        if name not in self.functions:
            return {}
        found = {"$LATEST": FUNCTIONS[name]["status"]["podRevision"]}
        for number in NUMBERS:
            held = [self.versions[name, number, copy] for copy in COPIES if (name, number, copy) in self.versions]
            if held:
                found[number] = held[0]
        return found

    def led_to(self, name: str, qualifier: str, roll: float = 0.0) -> tuple[str, str] | None:
        try:
            route = self.table.resolve(parse_function_reference(name), qualifier, None, roll)
        except LambdaError:
            return None
        return route.version, route.key.pod_revision

    @invariant()
    def every_version_that_is_there_has_its_holders_route_and_no_other_has_one(self) -> None:
        for name in FUNCTIONS:
            routable = self.routable(name)
            for qualifier in (*NUMBERS, "$LATEST"):
                expected = (qualifier, routable[qualifier]) if qualifier in routable else None
                assert self.led_to(name, qualifier) == expected
                key = Key(f"uid-default-{name}", "latest" if qualifier == "$LATEST" else qualifier, "")
                assert self.routed.get(key) == routable.get(qualifier)
                assert (self.table.route_of(key) is not None) == (qualifier in routable)

    @invariant()
    def aliases_keep_their_promises(self) -> None:
        for name in FUNCTIONS:
            routable = set(self.routable(name))
            for label in NAMES:
                said = self.said.get((name, label), [])
                found = {roll: self.led_to(name, label, roll) for roll in ROLLS}
                now = {roll: route and route[0] for roll, route in found.items()}
                self.check_alias(said, now, self.served.get((name, label)), routable)
                self.served[name, label] = now

    def check_alias(self, said, now, before, routable) -> None:
        served = set(now.values()) - {None}
        assert served <= routable
        assert not served or any(served <= versions_of(pointing) for pointing in said)
        if not said:
            return
        newest = said[-1]
        if versions_of(newest) <= routable:
            for roll, got in now.items():
                assert got == (newest[1] if len(newest) > 2 and roll < newest[2] else newest[0])
        elif before and set(before.values()) - {None} and set(before.values()) <= routable:
            # What was served before is still there: nothing that only the incomplete routing names is served.
            assert now == before or served <= set(before.values()) or self.is_old(said, served, before)

    def is_old(self, said, served, before) -> bool:
        """A version of the routing in force came back meanwhile."""
        return any(served | set(before.values()) <= versions_of(pointing) for pointing in said)


Tables.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestTables = Tables.TestCase

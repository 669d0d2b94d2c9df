"""What is written of a model by server-side apply."""

from __future__ import annotations

from lambent.model.alias_statuses import AliasStatus, RolloutStatus, Routing
from lambent.model.versions import VersionStatus

ROLLOUT = {
    "deployment_id": "d-ABCDEFGHI",
    "from_version": "1",
    "to_version": "2",
    "generation": 1,
    "strategy": "steps",
    "phase": "AllowTraffic",
    "started_at": "2026-01-01T00:00:00Z",
}


def test_what_is_empty_by_default_is_left_out_however_deep():
    """Applied as empty where it had entries, it would become null, which the API server refuses."""
    status = AliasStatus(routing=Routing(function_version="1"), rollout=RolloutStatus(**ROLLOUT))
    applied = status.applied()
    assert applied.keys() == {"routing", "rollout"}
    assert applied["routing"] == {"functionVersion": "1"}
    assert not {"hooks", "alarms", "steps"} & applied["rollout"].keys()
    assert VersionStatus(version="1").applied() == {"version": "1"}


def test_what_is_not_empty_is_applied_whether_it_is_the_default_or_not():
    applied = AliasStatus(rollout=RolloutStatus(**ROLLOUT)).applied()
    assert (applied["rollout"]["step"], applied["rollout"]["paused"]) == (0, False)
    routed = AliasStatus(routing=Routing(function_version="1", additional_version_weights={"2": 0.0}))
    assert routed.applied()["routing"]["additionalVersionWeights"] == {"2": 0.0}


def test_what_somebody_else_writes_is_left_out():
    status = AliasStatus(alias_arn="arn", target_version="1")
    assert status.applied(frozenset({"alias_arn"})) == {"targetVersion": "1"}


def test_a_snapshot_is_applied_with_what_it_was_taken_with_and_nothing_that_came_later():
    """To the API server a default that a later release writes into it would be a change of what never changes."""
    stored = {
        "version": "1",
        "snapshot": {
            "codeSha256": "c29tZQ==",
            "codeSize": 1,
            "revision": "0011223344556677",
            "handler": "index.handler",
            "memorySize": 128,
            "loggingConfig": {"logGroup": "mine"},
        },
    }
    assert VersionStatus.model_validate(stored).applied() == stored

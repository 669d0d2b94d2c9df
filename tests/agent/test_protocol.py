"""Claims, answers, states, owners and refusals: there and back again, and what is refused at the border."""

import json

import pytest
from tests.agent.driving import claim_of

from lambent.agent.protocol.claims import Claim, ClaimAnswer, Code
from lambent.agent.protocol.owners import Owner
from lambent.agent.protocol.refusals import KINDS, BadRequest, Refusal, StaleOwner
from lambent.agent.protocol.states import EnvironmentState, State

FULL = claim_of(
    b"zip",
    env={"A": "1"},
    layers=(Code("0" * 64, 7, url="http://store/v1/blobs"),),
    logging={"logFormat": "JSON"},
    tracing={"mode": "Active"},
    initType="provisioned-concurrency",
    initTimeoutMs=130_000,
)


@pytest.mark.parametrize("claim", [FULL, claim_of(None)], ids=["full", "without code"])
def test_a_claim_comes_back_as_it_went(claim):
    """to_json and from_json are each other's inverse."""
    assert Claim.from_json(claim.to_json()) == claim


BAD = {
    "no claim id": {"claimId": None},
    "empty function name": {"functionName": ""},
    "timeout too long": {"timeoutMs": 900_001},
    "timeout no number": {"timeoutMs": "3000"},
    "timeout true": {"timeoutMs": True},
    "env with a number": {"env": {"A": 1}},
    "env with an equals sign": {"env": {"A=B": "1"}},
    "env with NUL": {"env": {"A": "a\0b"}},
    "env too large": {"env": {"A": "x" * 300_000}},
    "version on two lines": {"version": "1\nSTART"},
    "code with both": {"code": {"sha256": "0" * 64, "size": 1, "url": "http://x/", "inline": ""}},
    "code with neither": {"code": {"sha256": "0" * 64, "size": 1}},
    "code too large": {"code": {"sha256": "0" * 64, "size": 262_144_001, "url": "http://x/"}},
    "digest in capitals": {"code": {"sha256": "A" * 64, "size": 1, "url": "http://x/"}},
    "inline no base64": {"code": {"sha256": "0" * 64, "size": 1, "inline": "***"}},
    "layers no list": {"layers": {}},
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_a_bad_claim_is_refused_with_the_field_named(change):
    """Once, at the border."""
    fields = {**json.loads(FULL.to_json()), **change}
    name = next(iter(change))
    with pytest.raises(BadRequest, match=name):
        Claim.from_json(json.dumps(fields).encode())


def test_answers_and_states_come_back_as_they_went():
    """What one side writes the other reads."""
    answer = ClaimAnswer("c", State.FAILED, 12.345, b"log\xff", {"errorType": "T", "errorMessage": "m"})
    assert ClaimAnswer.from_json(answer.to_json()) == answer
    state = EnvironmentState(State.BUSY, "c", "r", "q", 7, "gw", draining=True)
    assert EnvironmentState.from_json(state.to_json()) == state


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_refusals_come_back_as_they_went(kind):
    """With type, message and details."""
    refusal = Refusal.from_json(kind.status, kind("why", epoch=3, owner="gw").to_json())
    assert (type(refusal), refusal.message, refusal.details) == (kind, "why", {"epoch": 3, "owner": "gw"})


def test_owners_are_ordered_by_epoch_and_then_by_name():
    """The later wins, of equals the larger id."""
    assert sorted([Owner(2, "a"), Owner(1, "z"), Owner(2, "b")]) == [Owner(1, "z"), Owner(2, "a"), Owner(2, "b")]
    assert Owner.from_header(Owner(17, "gateway-0.x:1").to_header()) == Owner(17, "gateway-0.x:1")


@pytest.mark.parametrize("header", [None, b"", b"gw", b"gw;epoch=", b"gw;epoch=-1", b"g w;epoch=1", b"gw;epoch=1;"])
def test_a_malformed_owner_is_a_bad_request(header):
    """Nobody is heard by accident."""
    with pytest.raises(BadRequest):
        Owner.from_header(header)


def test_an_unknown_refusal_is_still_a_refusal():
    """An agent of a later version may say more."""
    assert type(Refusal.from_json(409, b'{"errorType":"New","errorMessage":"m"}')) is Refusal
    assert Refusal.from_json(500, b"<html>").message == "the agent answered 500"
    assert isinstance(Refusal.from_json(409, StaleOwner("s", epoch=1, owner="g").to_json()), StaleOwner)

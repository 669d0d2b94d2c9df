"""For how long does an answer about somebody count, and whose answers are kept?

The API server says who a token belongs to (TokenReview) and what its user may do (SubjectAccessReview). A grant counts
for a minute and is asked about again before that; a denial counts for seconds, so that a new role binding helps soon.
While nobody can be asked, a grant lives on for a quarter of an hour. The end that a token states itself is never
passed.
"""

from __future__ import annotations

import binascii
import json
import math
from base64 import urlsafe_b64decode
from collections import OrderedDict
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

GRANTED_SECONDS = 60.0
RENEWED_SECONDS = 45.0
"""From this age on a grant in use is asked about again, beside the requests that use it."""
DENIED_SECONDS = 5.0
UNREACHABLE_SECONDS = 900.0
AGAIN_SECONDS = 5.0
"""After an attempt that brought no answer, the next one."""

TOKEN_BYTES_MAX = 8192
"""What is longer is refused unseen. Tokens of service accounts have about 1 KB; of identity providers, several."""


@dataclass(frozen=True, slots=True)
class Decision(Generic[V]):
    """An answer of the API server. Times in seconds since the epoch."""

    value: V
    granted: bool
    at: float
    ends: float = math.inf
    """When the token ends by its own word."""
    tried: float = -math.inf
    """When asking again last brought no answer."""


class Standing(Enum):
    """What to do with a decision."""

    USE = auto()
    RENEW = auto()
    """Use it, and ask again beside."""
    ASK = auto()
    """Ask; while there is no answer, `outlives` says whether it may be used."""


def standing(decision: Decision[V], now: float) -> Standing:
    """What a decision is worth now."""
    age = now - decision.at
    if not decision.granted:
        return Standing.USE if 0 <= age < DENIED_SECONDS else Standing.ASK
    if age < 0 or now >= decision.ends:  # a clock that was set back makes nothing younger
        return Standing.ASK
    if age < RENEWED_SECONDS:
        return Standing.USE
    silent = decision.tried > decision.at
    if age >= GRANTED_SECONDS and not (silent and age < UNREACHABLE_SECONDS):
        return Standing.ASK
    return Standing.USE if silent and 0 <= now - decision.tried < AGAIN_SECONDS else Standing.RENEW


def outlives(decision: Decision[V], now: float) -> bool:
    """Whether a decision may be used because nobody can be asked."""
    return decision.granted and 0 <= now - decision.at < UNREACHABLE_SECONDS and now < decision.ends


def unanswered(decision: Decision[V], now: float) -> Decision[V]:
    """The decision after one more attempt to ask that brought no answer."""
    return replace(decision, tried=now)


def stated_end(token: bytes) -> float:
    """When a JSON web token ends by its own word (`exp`), in seconds since the epoch; infinity for any other token.

    Nothing is verified here, and nothing needs to be: the word only ever shortens what the API server granted.
    """
    parts = token.split(b".")
    if len(parts) != 3:
        return math.inf
    try:
        claims = json.loads(urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4)))
        end = claims["exp"]
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
        return math.inf
    return float(end) if isinstance(end, (int, float)) and abs(end) < 1e12 else math.inf


class Kept(Generic[K, V]):
    """Decisions by key, at most `capacity` of them.

    When full, whoever holds most gives up the one that was asked about longest ago. So nobody can drive out the
    decisions about others, however many tokens or names he brings. Looking changes nothing: what is in use is asked
    about again, and thereby put again, every minute.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._decisions: dict[K, Decision[V]] = {}
        self._holders: dict[str, OrderedDict[K, None]] = {}
        self._holder_of: dict[K, str] = {}
        self.get = self._decisions.get

    def __len__(self) -> int:
        return len(self._decisions)

    def put(self, key: K, decision: Decision[V], holder: str) -> None:
        """Keep a decision; `holder` is the user whose it is."""
        self.drop(key)
        if len(self._decisions) >= self._capacity:
            most = max(self._holders.values(), key=len)
            self.drop(next(iter(most)))
        self._decisions[key] = decision
        self._holder_of[key] = holder
        self._holders.setdefault(holder, OrderedDict())[key] = None

    def drop(self, key: K) -> None:
        """Forget a decision, if there is one."""
        if self._decisions.pop(key, None) is None:
            return
        holder = self._holder_of.pop(key)
        held = self._holders[holder]
        del held[key]
        if not held:
            del self._holders[holder]

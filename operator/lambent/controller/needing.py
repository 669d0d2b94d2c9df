"""Who needs which code: what the collector asks before it deletes anything.

Functions and their versions need theirs and their layers', also those of versions that are gone; versions of layers
need theirs.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from lambent.controller.observed import Malformed
from lambent.controller.store import Store
from lambent.controller.storing import CodeShelf
from lambent.core.collecting import digests_of, digests_of_versions

REMEMBERED_SECONDS = 5.0
"""Asked before each of hundreds of deletions; what came to be needed since was put since, and what is young stays."""


class CodeNeeds:
    """The needs of Functions and Layers, as the store and the shelf know them."""

    def __init__(
        self,
        store: Store,
        shelf: CodeShelf,
        is_judged: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._shelf = shelf
        self._is_judged = is_judged
        self._clock = clock
        self._referenced: frozenset[str] = frozenset()
        self._asked: float | None = None

    def referenced(self) -> frozenset[str]:
        """By what Functions' statuses say, and by what was found for them since."""
        now = self._clock()
        if self._asked is None or now - self._asked >= REMEMBERED_SECONDS:
            functions = (self._store.function(uid) for uid in self._store.uids())
            told = digests_of(function.status for function in functions if function is not None)
            self._referenced = told | self._of_versions() | self._store.layers.digests() | self._shelf.referenced()
            self._asked = now
        return self._referenced

    def _of_versions(self) -> frozenset[str]:
        book = self._store.versions
        return digests_of_versions(one.status for uid in book.uids() if (one := book.version(uid)) is not None)

    def busy(self) -> frozenset[str]:
        """What is being stored now."""
        return self._shelf.busy()

    def complete(self) -> bool:
        """Whether every Function, Version and Layer was judged since this process began to lead."""
        functions = all(
            self._is_judged(uid) or isinstance(self._store.function(uid), Malformed) for uid in self._store.uids()
        )
        layers, versions = self._store.layers, self._store.versions
        return (
            functions
            and all(self._is_judged(uid) or isinstance(layers.layer(uid), Malformed) for uid in layers.uids())
            and all(self._is_judged(uid) or isinstance(versions.version(uid), Malformed) for uid in versions.uids())
        )

"""The concurrency of every account: what a Namespace's annotation says, else the chart."""

from __future__ import annotations

import logging

from lambent.core.admission import Account, parse_limit
from lambent.model import names

log = logging.getLogger(__name__)


class Accounts:
    """An account for every namespace in which something was invoked or that has a limit of its own."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._accounts: dict[str, Account] = {}
        self._said: dict[str, str] = {}
        """Annotations as they were last seen."""

    def of(self, namespace: str) -> Account:
        """The account of a namespace."""
        account = self._accounts.get(namespace)
        if account is None:
            account = self._accounts[namespace] = Account(self._limit)
        return account

    def observe(self, namespace: str, annotated: str | None) -> None:
        """The namespace's annotation is this now. Requests that run already are not touched."""
        if self._said.get(namespace) == annotated:
            return
        if annotated is None:
            self.forget(namespace)
            return
        self._said[namespace] = annotated
        limit = parse_limit(annotated)
        if limit is None:
            log.warning(
                "namespace %s: the annotation %s is no number of requests and is ignored; the limit is %d",
                namespace,
                names.ANNOTATION_CONCURRENCY,
                self._limit,
            )
        self.of(namespace).limit = self._limit if limit is None else limit

    def forget(self, namespace: str) -> None:
        """The annotation, or the namespace, is gone."""
        if self._said.pop(namespace, None) is not None:
            self._accounts[namespace].limit = self._limit

"""The API server as the command line uses it: objects, tables, watches, logs, what it passes on to Services and pods.

Failures are `Refused` (4xx, in the server's words) and `Unavailable` (no answer, 5xx, too busy).
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from lambent.model import names
from lambent.model.errors import Refused, Unavailable

from .connections import Answer, Connections, Peer
from .credentials import Credential, obtain
from .kubeconfigs import Context

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
"""Server-side apply; JSON is YAML."""
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1,application/json"
FUNCTIONS_GROUP = "/apis/lambent.dev/v1alpha1"

ANSWER_SECONDS = 30.0
WATCH_SECONDS = 300
WATCH_SILENCE_SECONDS = 90.0
"""The API server sends a bookmark every 60 to 75 s."""
_RETRIES_ON_429 = 3
_RETRY_AFTER_MAX_S = 5.0

Query = Mapping[str, str | int | bool]
_MANAGED: Query = {"fieldManager": names.FIELD_MANAGER_CLI}


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request without its body."""

    method: str
    path: str
    query: Query | None
    accept: str
    silence: float | None
    """Seconds without a byte that are borne; None: for ever."""
    content: str = JSON
    """What the body is."""


class Cluster:
    """One API server and who we are to it."""

    def __init__(self, context: Context, timeout: float = ANSWER_SECONDS) -> None:
        self.context = context
        self.timeout = timeout
        self.credential: Credential = obtain(context.user, context.cluster)
        facts = context.cluster
        self.connections = Connections(
            Peer(
                facts.server,
                facts.authority,
                facts.insecure,
                facts.server_name,
                facts.proxy,
                self.credential.certificate,
                self.credential.key,
            )
        )

    def get(self, path: str, query: Query | None = None, accept: str = JSON) -> dict[str, Any]:
        """One object or list; waits as told when the server is too busy."""
        for attempt in range(_RETRIES_ON_429 + 1):
            try:
                return self.call("GET", path, query, accept=accept)
            except Unavailable as error:
                if error.retry_after is None or attempt == _RETRIES_ON_429:
                    raise
                time.sleep(min(error.retry_after, _RETRY_AFTER_MAX_S))
        raise AssertionError("unreachable")

    def call(
        self, method: str, path: str, query: Query | None = None, body: Any = None, accept: str = JSON
    ) -> dict[str, Any]:
        """One request and its answer's object."""
        return self._call(_Asked(method, path, query, accept, self.timeout), body)

    def merge(self, path: str, patch: Any) -> dict[str, Any]:
        """Change an object by a merge patch; the object as it is then."""
        return self._call(_Asked("PATCH", path, _MANAGED, JSON, self.timeout, MERGE_PATCH), patch)

    def apply(self, path: str, body: Any) -> dict[str, Any]:
        """Create or change an object by server-side apply, never what another manager owns; the object then."""
        return self._call(_Asked("PATCH", path, _MANAGED, JSON, self.timeout, APPLY_PATCH), body)

    def _call(self, asked: _Asked, body: Any) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        with self._request(asked, data) as answer:
            found = _object(answer.read())
        if not isinstance(found, dict):
            raise Unavailable(f"{self.connections.url} does not answer like an API server")
        return found

    def objects(self, path: str, selector: str = "", fields: str = "") -> list[dict[str, Any]]:
        """All objects of a collection; `selector` by labels, `fields` by fields."""
        found: list[dict[str, Any]] = []
        query: dict[str, str | int | bool] = {"limit": 500}
        if selector:
            query["labelSelector"] = selector
        if fields:
            query["fieldSelector"] = fields
        while True:
            page = self.get(path, query)
            found.extend(page.get("items") or [])
            following = (page.get("metadata") or {}).get("continue")
            if not following:
                return found
            query["continue"] = following

    def watch(
        self, path: str, query: Query, accept: str = JSON, seconds: float = WATCH_SECONDS
    ) -> Iterator[dict[str, Any]]:
        """The events of one watch, until the server ends it (after `seconds`) or has been silent for too long.

        Raises:
            Unavailable: it was silent for too long, or for all of `seconds`.
        """
        most = max(1, math.ceil(min(seconds, WATCH_SECONDS)))
        wanted = {**query, "watch": True, "allowWatchBookmarks": True, "timeoutSeconds": most}
        with self._request(_Asked("GET", path, wanted, accept, min(seconds, WATCH_SILENCE_SECONDS))) as answer:
            for line in answer.lines():
                event = _object(line)
                if not isinstance(event, dict):
                    raise Unavailable(f"{self.connections.url}: a watch sent no JSON")
                yield event

    @contextlib.contextmanager
    def text(self, path: str, query: Query | None = None, silence: float | None = ANSWER_SECONDS) -> Iterator[Answer]:
        """An answer that is no object (logs, metrics), to be read as it comes; `silence` None: for ever."""
        with self._request(_Asked("GET", path, query, "*/*", silence)) as answer:
            yield answer

    def headers(self) -> list[tuple[str, str]]:
        """Who we are, to the API server."""
        user, shown = self.context.user, list(self.context.user.impersonate)
        if self.credential.token:
            shown.append(("Authorization", f"Bearer {self.credential.token}"))
        elif user.username is not None:
            pair = base64.b64encode(f"{user.username}:{user.password or ''}".encode()).decode()
            shown.append(("Authorization", f"Basic {pair}"))
        return shown

    def _request(self, asked: _Asked, body: bytes | None = None) -> Answer:
        answer = self._send(asked, body)
        if answer.status == 401 and self.context.user.is_renewable:  # it may have run out: logs are followed for hours
            with answer:
                answer.read()
            self.credential = obtain(self.context.user, self.context.cluster)
            answer = self._send(asked, body)
        if answer.status < 400:
            return answer
        with answer:
            raise refusal(answer.status, answer.headers, answer.read())

    def _send(self, asked: _Asked, body: bytes | None) -> Answer:
        headers = [*self.headers(), ("Accept", asked.accept)]
        if body is not None:
            headers.append(("Content-Type", asked.content))
        target = asked.path + _query(asked.query)
        return self.connections.request(asked.method, target, headers, body, asked.silence)


def path_of(plural: str, namespace: str | None, name: str | None = None, group: str = "/api/v1") -> str:
    """The path of a collection or object; no namespace: of all."""
    place = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"{group}{place}/{plural}" + (f"/{quote(name, safe='')}" if name else "")


def functions_path(namespace: str | None, name: str | None = None) -> str:
    """The path of Functions."""
    return path_of("functions", namespace, name, FUNCTIONS_GROUP)


def versions_path(namespace: str, name: str | None = None) -> str:
    """The path of Versions."""
    return path_of("versions", namespace, name, FUNCTIONS_GROUP)


def aliases_path(namespace: str, name: str | None = None) -> str:
    """The path of Aliases."""
    return path_of("aliases", namespace, name, FUNCTIONS_GROUP)


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refused | Unavailable:
    """An answer of 400 and more from the API server, typed by what can be done about it."""
    said = _object(body)
    said = said if isinstance(said, dict) else {}  # a proxy spoke, not the API server
    message = str(said.get("message") or body[:200].decode("utf-8", "replace").strip() or f"HTTP status {status}")
    if status == 429 or status >= 500:
        asked = headers.get("Retry-After", "1") if status == 429 else None
        return Unavailable(message, float(asked) if asked and asked.isdecimal() else None)
    if status == 401:
        message = f"the API server does not know who you are ({message}): is your kubeconfig's login still valid?"
    return Refused(str(said.get("reason") or status), message, status)


def _object(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _query(query: Query | None) -> str:
    if not query:
        return ""
    pairs = {key: str(value).lower() if isinstance(value, bool) else value for key, value in query.items()}
    return f"?{urlencode(pairs)}"

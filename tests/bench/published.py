"""A gateway over an API server in memory: a function with published versions, aliases that move, and who asks for them.

The API server is the tests' own (`tests/adapters/kube/fake_api.py`), in this process and on the load's core; the gateway
lists and watches it over HTTP as any other. What a real one takes from a write to the watch is not in these figures.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.adapters.kube.fake_api import FakeApi
from tests.gateway.publications import alias, version

from . import gateway_process, gateways
from .loads import EVENT, Target
from .machines import Cores

NAMESPACE, FUNCTION = gateway_process.NAMESPACE, "echo"
_ALIASES = f"/apis/lambent.dev/v1alpha1/namespaces/{NAMESPACE}/aliases"
_EXECUTED = re.compile(rb"\r\nx-amz-executed-version:[ \t]*([^\r\n]+)", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Published:
    """What was set up."""

    api: FakeApi
    target: Target

    def point(self, name: str, number: str, additional: str | None = None, weight: float = 0.0) -> None:
        """The alias leads there now, as the controller writes it."""
        routing: dict[str, Any] = {"functionVersion": number}
        if additional is not None:
            routing["additionalVersionWeights"] = {additional: weight}
        self.api.change(f"{_ALIASES}/{FUNCTION}.{name}", lambda body: body["status"].update(routing=routing))

    def request(self, name: str) -> bytes:
        """An invocation of the alias."""
        path = f"/2015-03-31/functions/{FUNCTION}:{name}/invocations"
        head = f"POST {path} HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(EVENT)}\r\n\r\n".encode() + EVENT


@contextlib.asynccontextmanager
async def published(environments: dict[str, int], aliases: Sequence[str], cores: Cores) -> AsyncIterator[Published]:
    """So many environments of each version; `latest` is `$LATEST`. Every alias leads to version 1 at first.

    Raises:
        DidNotStart: the gateway or its stubs did not.
    """
    with tempfile.TemporaryDirectory(prefix="lambent-bench-") as place, contextlib.ExitStack() as stack:
        folder = Path(place)
        package = gateways.agents.package(FUNCTION)
        settings = {"function": FUNCTION, "runtime": "python3.11", "handler": f"{FUNCTION}.handler"}
        function = gateway_process.function_object(settings, package)
        pods = [_pod(number, index) for number, count in environments.items() for index in range(count)]
        api = await FakeApi().start()
        api.bookmarks = False
        try:
            _fill(api, function, [number for number in environments if number != "latest"], aliases, pods)
            server = str(api.server.make_url("")).rstrip("/")
            over = gateways.over_server(server, pods, gateway_core=cores.test, stub_core=cores.load, folder=folder)
            target, _ = await asyncio.to_thread(stack.enter_context, over)
            yield Published(api, target)
        finally:
            await asyncio.to_thread(stack.close)
            await api.stop()


def _pod(number: str, index: int) -> dict[str, Any]:
    name = f"environment-{number}-{index}"
    pod: dict[str, Any] = {"name": name, "nonce": f"nonce-{name}", "host": "127.0.0.1"}
    if number != "latest":
        pod |= {"version": number, "podRevision": f"pod-revision-{number}"}
    return pod


def _fill(
    api: FakeApi, function: dict[str, Any], numbers: list[str], aliases: Sequence[str], pods: list[dict[str, Any]]
) -> None:
    group = f"/apis/lambent.dev/v1alpha1/namespaces/{NAMESPACE}"
    annotations = {"lambent.dev/account-id": "123456789012"}
    _put(api, "/api/v1/namespaces", {"metadata": {"name": NAMESPACE, "uid": "namespace", "annotations": annotations}})
    _put(api, f"{group}/functions", function)
    for number in numbers:
        _put(api, f"{group}/versions", version(function, number))
    for name in aliases:
        _put(api, _ALIASES, alias(function, name, "1"))
    for pod in pods:
        _put(api, f"/api/v1/namespaces/{NAMESPACE}/pods", gateway_process.pod_object(pod))


def _put(api: FakeApi, collection: str, body: dict[str, Any]) -> None:
    """There from the beginning: not in the history that watches look through."""
    body["metadata"]["resourceVersion"] = str(api.version)
    api.objects[f"{collection}/{body['metadata']['name']}"] = body


# --- who asks -----------------------------------------------------------------------------------------------------

Took = Callable[["Client", int, str], None]
"""An answer came: its status and the version that ran it."""


class Client(asyncio.Protocol):
    """One connection, one request at a time. Which is the next, `took` says by calling `send`."""

    def __init__(self, took: Took) -> None:
        self._took = took
        self._data = b""
        self._transport: asyncio.Transport | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """An answer that does not come is an error."""
        if not self.lost:
            self.lost = True
            self._took(self, 0, "")

    def send(self, request: bytes) -> None:
        """Ask."""
        assert self._transport is not None
        if not self.lost:
            self._transport.write(request)

    def close(self) -> None:
        """No more."""
        self.lost = True
        assert self._transport is not None
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """A piece of an answer."""
        self._data = data = self._data + data if self._data else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = data[: end + 2]
        length = _LENGTH.search(head)
        if length is None or len(data) < end + 4 + int(length[1]):
            return
        body, self._data = data[end + 4 : end + 4 + int(length[1])], b""
        executed = _EXECUTED.search(head)
        status = int(head[9:12])
        if status == 200 and body != EVENT:
            status = 0
        self._took(self, status, executed[1].decode() if executed else "")


@dataclass(slots=True)
class Load:
    """Clients in a closed loop; everything that they were answered."""

    connections: int
    request: bytes
    seen: dict[tuple[int, str], int] = field(default_factory=dict)
    last: int | None = None
    """No more is sent once so many were answered."""
    on_answer: Callable[[int, str], None] | None = None
    answered: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _clients: list[Client] = field(default_factory=list)

    async def start(self, target: Target) -> None:
        """Connect and send."""
        loop = asyncio.get_running_loop()
        for _ in range(self.connections):
            _, client = await loop.create_connection(lambda: Client(self._took), target.host, target.port)
            self._clients.append(client)
        for client in self._clients:
            client.send(self.request)

    def stop(self) -> None:
        """Hang up."""
        for client in self._clients:
            client.close()

    def _took(self, client: Client, status: int, executed: str) -> None:
        if self.over.is_set():  # what was under way when the last one was counted
            return
        self.answered += 1
        self.seen[status, executed] = self.seen.get((status, executed), 0) + 1
        if self.on_answer is not None:
            self.on_answer(status, executed)
        if client.lost or (self.last is not None and self.answered >= self.last):
            self.over.set()
        else:
            client.send(self.request)

    @property
    def errors(self) -> int:
        """Answers that were no success."""
        return sum(count for (status, _), count in self.seen.items() if status != 200)

    def ran(self, *versions: str) -> int:
        """Successes of these versions."""
        return sum(count for (status, executed), count in self.seen.items() if status == 200 and executed in versions)

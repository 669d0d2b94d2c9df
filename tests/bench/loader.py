"""The load program: one epoll loop over its connections, the same code for every side.

Reads one JSON document from stdin (see `loads.Load`), writes one to stdout. Standard library only and no import of the
project, so that it starts fast and costs little; what it costs is itself measured (`machines.loader_floor`).

An answer is complete when its body is: for a chunked one with the last-chunk line, before any trailer. A connection
takes its next request when the whole message has been read, trailers included. With a `rate` requests have intended
start times and latency counts from there (an open loop); without one each connection sends again at once.
"""

import base64
import collections
import gc
import json
import re
import resource
import select
import socket
import sys
import time
import typing

LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)
MOST_ERRORS = 200  # a side that fails this often is broken: stop instead of hammering it
HEAD, SIZED, CHUNKS, TRAILERS = range(4)
clock = time.perf_counter_ns


class Answer:
    """The answer that is being read: a message with a length, or chunked with trailers."""

    def __init__(self) -> None:
        self.phase, self.data, self.place, self.status, self.end = HEAD, b"", 0, 0, 0
        self.answered = 0
        self.body: list[bytes] = []
        self.pieces: list[bytes] = []
        self.missing = 0

    def feed(self, piece: bytes) -> bool:
        """True when the message is complete; sets `answered` when its body is."""
        if self.missing:  # of a large body: put together once, when it is there
            self.pieces.append(piece)
            self.missing -= len(piece)
            if self.missing > 0:
                return False
            piece, self.pieces, self.missing = b"".join(self.pieces), [], 0
        now = clock()
        self.data = data = self.data + piece if self.data else piece
        if self.phase == HEAD:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                return False
            head = data[: end + 2]
            self.status = int(head[9:12])
            self.place = end + 4
            length = LENGTH.search(head)
            if length:
                self.phase, self.end = SIZED, self.place + int(length[1])
            elif CHUNKED.search(head):
                self.phase = CHUNKS
            else:
                raise ValueError("an answer without a length")
        if self.phase == SIZED:
            if len(data) < self.end:
                self.missing = self.end - len(data)
                return False
            self.answered = now
            self.body = [data[self.place : self.end]]
            return self.finish(self.end)
        if self.phase == CHUNKS and not self.take_chunks(data, now):
            return False
        end = data.find(b"\r\n", self.place)
        while end > self.place:  # a trailer field; the empty line ends them
            self.place = end + 2
            end = data.find(b"\r\n", self.place)
        return self.finish(end + 2) if end >= 0 else False

    def take_chunks(self, data: bytes, now: int) -> bool:
        """True when the last chunk is there."""
        while True:
            end = data.find(b"\r\n", self.place)
            if end < 0:
                return False
            size = int(data[self.place : end].split(b";")[0], 16)
            if not size:
                self.phase, self.place, self.answered = TRAILERS, end + 2, now
                return True
            if len(data) < end + 2 + size + 2:
                return False
            self.body.append(data[end + 2 : end + 2 + size])
            self.place = end + 2 + size + 2

    def finish(self, end: int) -> bool:
        """The message ends at `end`, and nothing may follow it."""
        if len(self.data) != end:
            raise ValueError("more than one answer")
        self.phase, self.data, self.place = HEAD, b"", 0
        return True


class Connection(Answer):
    """One keep-alive connection and the answer that is being read from it."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__()
        self.address = address
        self.started = 0
        self.socket = socket.create_connection(address, timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Load:
    """One run: a warm-up, then a measured stretch. Samples are requests that began after the warm-up."""

    def __init__(self, wanted: dict[str, typing.Any]) -> None:
        self.before, self.after = base64.b64decode(wanted["before"]), base64.b64decode(wanted["after"])
        self.expected = base64.b64decode(wanted["expected"]) if wanted["expected"] is not None else None
        self.rate = wanted["rate"]
        self.requests = wanted["requests"]
        self.number = self.errors = 0
        self.failures: list[str] = []
        self.latencies: list[int] = []
        self.cycles: list[int] = []
        self.epoll = select.epoll()
        self.connections = [Connection((wanted["host"], wanted["port"])) for _ in range(wanted["connections"])]
        self.by_fd: dict[int, Connection] = {}
        for connection in self.connections:
            self.register(connection)
        begun = clock()
        self.since = begun + int(wanted["warmup_s"] * 1e9)
        self.shortest = self.since + int(wanted["least_s"] * 1e9)
        self.longest = self.since + int(wanted["most_s"] * 1e9)

    def register(self, connection: Connection) -> None:
        """Read from it from now on."""
        self.by_fd[connection.socket.fileno()] = connection
        self.epoll.register(connection.socket.fileno(), select.EPOLLIN)

    def enough(self) -> bool:
        """Whether the measured stretch is over."""
        now = clock()
        return now >= self.longest or (now >= self.shortest and len(self.latencies) >= self.requests)

    def send(self, connection: Connection, started: int) -> None:
        """One request; latency counts from `started`."""
        self.number += 1
        connection.started, connection.body = started, []
        try:
            connection.socket.sendall(b"%b%012d%b" % (self.before, self.number, self.after))
        except OSError as error:
            self.fail(f"sending: {error}")  # the end of the connection is read next

    def receive(self, descriptor: int) -> Connection | None:
        """The connection that is free again; None while its answer is not complete."""
        connection = self.by_fd.get(descriptor)
        if connection is None:
            return None
        try:
            piece = connection.socket.recv(262144)
            if not piece:
                raise ConnectionError("the connection was closed")
            if not connection.feed(piece):
                return None
        except (OSError, ValueError) as error:
            self.fail(f"{type(error).__name__}: {error}")
            return self.replace(connection)
        body = connection.body
        if connection.status != 200 or (
            self.expected is not None and (body[0] if len(body) == 1 else b"".join(body)) != self.expected
        ):
            self.fail(f"{connection.status} {b''.join(body)[:200]!r}")
        elif connection.started >= self.since:
            self.latencies.append(connection.answered - connection.started)
            self.cycles.append(clock() - connection.started)
        return connection

    def replace(self, lost: Connection) -> Connection:
        """A new connection in its place."""
        descriptor = lost.socket.fileno()
        self.epoll.unregister(descriptor)
        del self.by_fd[descriptor]
        lost.socket.close()
        fresh = Connection(lost.address)
        self.register(fresh)
        return fresh

    def fail(self, what: str) -> None:
        """Errors of the warm-up count too."""
        self.errors += 1
        if len(self.failures) < 5:
            self.failures.append(what)
        if self.errors > MOST_ERRORS:
            raise SystemExit(f"gave up after {self.errors} errors: {self.failures}")

    def run_closed(self) -> None:
        """Each connection sends again as soon as it is free."""
        for connection in self.connections:
            self.send(connection, clock())
        poll = self.epoll.poll
        while not self.enough():
            for descriptor, _ in poll(1.0):
                free = self.receive(descriptor)
                if free is not None:
                    self.send(free, clock())

    def run_open(self) -> None:
        """Requests start at their intended times, or as soon after as a connection is free."""
        idle = list(self.connections)
        waiting: collections.deque[int] = collections.deque()
        first, interval, count = clock() + 1_000_000, 1e9 / self.rate, 0
        while not self.enough():
            now = clock()
            while (due := first + int(count * interval)) <= now:
                waiting.append(due)
                count += 1
            while waiting and idle:
                self.send(idle.pop(), waiting.popleft())
            pause = min(max(0, due - clock()) / 1e9, 0.2)
            # select waits in microseconds, epoll only in milliseconds
            if select.select([self.epoll.fileno()], [], [], pause)[0]:
                for descriptor, _ in self.epoll.poll(0):
                    free = self.receive(descriptor)
                    if free is not None:
                        idle.append(free)

    def run(self) -> dict[str, typing.Any]:
        """The whole load and what it saw."""
        gc.disable()
        if self.rate:
            self.run_open()
        else:
            self.run_closed()
        return {
            "seconds": (clock() - self.since) / 1e9,
            "latencies_us": [round(latency / 1000, 1) for latency in self.latencies],
            "cycles_us": [round(cycle / 1000, 1) for cycle in self.cycles],
            "errors": self.errors,
            "failures": self.failures,
            "sent": self.number,
            "cpu_s": cpu_seconds(),
        }


def cpu_seconds() -> float:
    """User and system time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    json.dump(Load(json.load(sys.stdin)).run(), sys.stdout)

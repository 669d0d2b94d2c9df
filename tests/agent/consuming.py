"""Consumers of telemetry: servers over plain sockets, HTTP and TCP."""

import asyncio
import json


class Consumer:
    """A server over plain sockets. `batches` are what it has taken; `answer` is what it says to a request."""

    def __init__(self, answer=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"):
        self.answer = answer
        self.batches = []
        self.heads = []
        self.connections = 0
        self.came = asyncio.Condition()
        self.listening = asyncio.Event()
        self.listening.set()

    async def open(self, serve=None, port=0):
        self.server = await asyncio.start_server(serve or self.serve_http, "127.0.0.1", port)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def serve_http(self, reader, writer):
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:"))
                body = await reader.readexactly(length)
                await self.listening.wait()
                answer = self.answer(self) if callable(self.answer) else self.answer
                if b" 200 " in answer:
                    await self.take(head, json.loads(body))
                writer.write(answer)
                if answer.startswith(b"HTTP/1.0"):
                    break
        except (EOFError, ConnectionError):
            pass
        writer.close()

    async def serve_tcp(self, reader, writer):
        self.connections += 1
        try:
            while line := await reader.readline():
                await self.take(b"", json.loads(line))
        except ConnectionError:
            pass
        writer.close()

    async def take(self, head, batch):
        async with self.came:
            self.heads.append(head)
            self.batches.append(batch)
            self.came.notify_all()

    async def until(self, ready):
        async with self.came:
            await self.came.wait_for(lambda: ready(self.batches))

    @property
    def events(self):
        return [event for batch in self.batches for event in batch]

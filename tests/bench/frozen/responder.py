"""FROZEN. Answers anything at once with the same bytes: what is left is the load program and the kernel."""

import json
import select
import socket
import sys

SETTINGS = json.load(sys.stdin)  # {"port", "answer"}
ANSWER = SETTINGS["answer"].encode()

listener = socket.create_server(("127.0.0.1", SETTINGS["port"]))
poll = select.epoll()
connections: dict[int, socket.socket] = {}
poll.register(listener.fileno(), select.EPOLLIN)
while True:
    for descriptor, _ in poll.poll():
        if descriptor == listener.fileno():
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connections[connection.fileno()] = connection
            poll.register(connection.fileno(), select.EPOLLIN)
            continue
        connection = connections[descriptor]
        data = connection.recv(65536)
        if data:
            connection.sendall(ANSWER)  # small requests arrive in one piece on loopback
        else:
            poll.unregister(descriptor)
            connections.pop(descriptor).close()

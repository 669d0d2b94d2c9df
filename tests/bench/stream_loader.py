"""The load program for large answers: one connection, one request after the other; bytes are counted, never kept.

Reads and writes the same JSON as `loader`, standard library only. An answer is chunked and complete when it ends with an
empty last chunk; the latency of each is the time to its first byte of body, its cycle the time to its end.
"""

import base64
import json
import resource
import socket
import sys
import time
import typing

END = b"0\r\n\r\n"
clock = time.perf_counter_ns


def read(connection: socket.socket, buffer: memoryview) -> tuple[int, int]:
    """(bytes of one answer without its head, when the first of them came). Raises ValueError, OSError."""
    head = b""
    while (end := head.find(b"\r\n\r\n")) < 0:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError("the connection was closed")
        head += piece
    if not head.startswith(b"HTTP/1.1 200 "):
        raise ValueError(head[:200].decode("latin-1"))
    first, size, tail = clock(), len(head) - end - 4, head[end + 4 :][-len(END) :]
    while tail != END:
        count = connection.recv_into(buffer)
        if not count:
            raise ConnectionError("the connection was closed")
        size += count
        tail = (tail + bytes(buffer[max(0, count - len(END)) : count]))[-len(END) :]
    return size, first


def run(wanted: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """The whole load and what it saw."""
    before, after = base64.b64decode(wanted["before"]), base64.b64decode(wanted["after"])
    connection = socket.create_connection((wanted["host"], wanted["port"]), timeout=60)
    buffer = memoryview(bytearray(1024 * 1024))
    begun = clock()
    since = begun + int(wanted["warmup_s"] * 1e9)
    shortest, longest = since + int(wanted["least_s"] * 1e9), since + int(wanted["most_s"] * 1e9)
    number, measured_from = 0, 0
    latencies, cycles, failures = [], [], []
    while (now := clock()) < longest and not (now >= shortest and len(cycles) >= max(1, wanted["requests"])):
        number += 1
        connection.sendall(b"%b%012d%b" % (before, number, after))
        try:
            size, first = read(connection, buffer)
            if size < wanted["least_bytes"]:
                raise ValueError(f"an answer of {size} bytes")
        except (OSError, ValueError) as error:
            failures.append(f"{type(error).__name__}: {error}")
            break
        if now >= since:
            measured_from = measured_from or now
            latencies.append(round((first - now) / 1000, 1))
            cycles.append(round((clock() - now) / 1000, 1))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": (clock() - (measured_from or begun)) / 1e9,
        "latencies_us": latencies,
        "cycles_us": cycles,
        "errors": len(failures),
        "failures": failures,
        "sent": number,
        "cpu_s": usage.ru_utime + usage.ru_stime,
    }


if __name__ == "__main__":
    json.dump(run(json.load(sys.stdin)), sys.stdout)

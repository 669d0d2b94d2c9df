"""A runtime that streams, by hand: Python's runtime client cannot. The event says what to do, in this order.

`megabytes`: so many pieces of a megabyte · `pieces`: these · `gate`: before the last piece, wait for this file ·
`sleep`: seconds before the end · `exit`: end without a word · `fail`: end with this error in the trailers ·
`raise`: post an error instead · `whole`: post this as one response. `type` is the content type.
"""

import base64
import json
import os
import socket
import time

HOST, PORT = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
PREFIX = "/2018-06-01/runtime/invocation/"


def call(api, reader, head: str, body: bytes = b"") -> tuple[dict[str, str], bytes]:
    """One request; its answer's headers and body."""
    api.sendall(head.encode() + body)
    return answer(reader)


def answer(reader) -> tuple[dict[str, str], bytes]:
    reader.readline()
    headers = {}
    while (line := reader.readline().decode().strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return headers, reader.read(int(headers["content-length"]))


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def stream(api, reader, path: str, event: dict) -> None:
    """The response, piece by piece."""
    api.sendall(
        f"POST {path}response HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        f"Lambda-Runtime-Function-Response-Mode: streaming\r\nContent-Type: {event.get('type', 'text/plain')}\r\n"
        "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n".encode()
    )
    for number in range(event.get("megabytes", 0)):
        api.sendall(chunk(bytes([number % 256]) * 1_048_576))
    pieces = event.get("pieces", [])
    for number, piece in enumerate(pieces):
        while number == len(pieces) - 1 and "gate" in event and not os.path.exists(event["gate"]):
            time.sleep(0.002)
        api.sendall(chunk(piece.encode()))
    time.sleep(event.get("sleep", 0))
    if "exit" in event:
        os._exit(event["exit"])
    end = b"0\r\n"
    if "fail" in event:
        body = base64.b64encode(json.dumps(event["fail"]).encode())
        end += b"Lambda-Runtime-Function-Error-Type: %b\r\n" % event["fail"]["errorType"].encode()
        end += b"Lambda-Runtime-Function-Error-Body: %b\r\n" % body
    api.sendall(end + b"\r\n")
    answer(reader)


def main() -> None:
    """Until the environment ends."""
    api = socket.create_connection((HOST, int(PORT)))
    reader = api.makefile("rb")
    while True:
        headers, body = call(api, reader, f"GET {PREFIX}next HTTP/1.1\r\nHost: a\r\n\r\n")
        event, path = json.loads(body), f"{PREFIX}{headers['lambda-runtime-aws-request-id']}/"
        print("seen", event.get("n"), flush=True)
        whole = json.dumps(event.get("raise") or event.get("whole")).encode()
        if "raise" in event or "whole" in event:
            way = "error" if "raise" in event else "response"
            head = f"POST {path}{way} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(whole)}\r\n\r\n"
            call(api, reader, head, whole)
        else:
            stream(api, reader, path, event)


main()

"""A runtime that does what its events tell it and reports what it saw: the same program under AWS's emulator and ours.

An event is `{"calls": [...], "then": …}`. A call is `{"method", "path", "headers", "body", "chunks"}`; `{id}` in its path
becomes the request's id. What came back is appended to the file PROBE_REPORT, one JSON document an event:
`{"event": {headers of /next}, "answers": [{status, headers, body}]}`. `then` is "exit N", "signal N" or "sleep S".
Standard library only.
"""

import http.client
import json
import os
import sys
import time

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
NEXT = "/2018-06-01/runtime/invocation/next"


def call(method, path, headers=None, body=None, chunks=None):
    """One request on a connection of its own; `chunks` are sent chunked, `None` among them breaks the connection off."""
    connection = http.client.HTTPConnection(API)
    if chunks is None:
        connection.request(method, path, None if body is None else body.encode(), headers or {})
    else:
        connection.putrequest(method, path)
        for name, value in {**(headers or {}), "Transfer-Encoding": "chunked"}.items():
            connection.putheader(name, value)
        connection.endheaders()
        for chunk in chunks:
            if chunk is None:
                connection.close()
                return {"status": 0, "headers": {}, "body": ""}
            connection.send(b"%x\r\n%b\r\n" % (len(chunk), chunk.encode()))
        connection.send(b"0\r\n\r\n")
    answer = connection.getresponse()
    content = answer.read().decode("utf-8", "replace")
    connection.close()
    return {"status": answer.status, "headers": {k.lower(): v for k, v in answer.getheaders()}, "body": content}


def sized(call_of):
    """`bodyBytes` instead of `body`: megabytes need not travel in the event."""
    size = call_of.pop("bodyBytes", None)
    return call_of if size is None else {**call_of, "body": "x" * size}


def main():
    """Until told otherwise."""
    if "PROBE_INIT" in os.environ:  # what to do before the first event
        perform(json.loads(os.environ["PROBE_INIT"]), "", {})
    while True:
        event = call("GET", NEXT)
        perform(json.loads(event["body"]), event["headers"].get("lambda-runtime-aws-request-id", ""), event["headers"])


def perform(script, request_id, seen):
    """The calls, the report, and how it ends."""
    answers = []
    for wanted in script.get("calls", ()):
        answers.append(call(**{**sized(dict(wanted)), "path": wanted["path"].replace("{id}", request_id)}))
    with open(os.environ["PROBE_REPORT"], "a", encoding="utf-8") as report:
        report.write(json.dumps({"event": seen, "answers": answers}) + "\n")
    how, _, value = script.get("then", "").partition(" ")
    if how == "exit":
        sys.stdout.flush()
        os._exit(int(value))
    elif how == "signal":
        os.kill(os.getpid(), int(value))
    elif how == "sleep":
        time.sleep(float(value))


main()

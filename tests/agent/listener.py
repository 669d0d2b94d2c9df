#!/usr/bin/env python3
"""An external extension as people write them: standard library only. LISTENER (JSON) says what it does.

{"protocol": "HTTP" | "TCP", "types": [...], "schema": …, "api": "telemetry" | "logs", "buffering": {…}, "slow": seconds}
What it hears goes to the file `$HEARD`, one batch a line; so do the answers to its subscriptions, as {"answer": …}.
"""

import http.client
import json
import os
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

PLAN = json.loads(os.environ["LISTENER"])
HOST, PORT = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
LOCK = threading.Lock()


def tell(value):
    with LOCK, open(os.environ["HEARD"], "a") as file:
        file.write(json.dumps(value) + "\n")


class OverHTTP(BaseHTTPRequestHandler):
    def do_POST(self):
        batch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(PLAN.get("slow", 0))
        tell(batch)
        self.send_response(200)
        self.end_headers()

    do_PUT = do_POST  # noqa: N815  the name is the interface

    def log_message(self, *_):
        pass


class TCPServer(socketserver.ThreadingTCPServer):
    daemon_threads = True


class OverTCP(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            tell([json.loads(line)])


def call(method, path, body=None, **headers):
    connection = http.client.HTTPConnection(HOST, int(PORT))
    connection.request(method, path, body if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    return answer, answer.read()


def main():
    name = os.path.basename(sys.argv[0])
    http_wanted = PLAN.get("protocol", "HTTP") == "HTTP"
    server = HTTPServer(("127.0.0.1", 0), OverHTTP) if http_wanted else TCPServer(("127.0.0.1", 0), OverTCP)
    port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    answer, _ = call(
        "POST", "/2020-01-01/extension/register", {"events": ["INVOKE", "SHUTDOWN"]}, **{"Lambda-Extension-Name": name}
    )
    who = {"Lambda-Extension-Identifier": answer.getheader("Lambda-Extension-Identifier")}
    if http_wanted:
        destination = {"protocol": "HTTP", "URI": f"http://sandbox.localdomain:{port}/heard"}
    else:
        destination = {"protocol": "TCP", "port": port}
    logs = PLAN.get("api") == "logs"
    body = {
        "schemaVersion": PLAN.get("schema", "2021-03-18" if logs else "2022-12-13"),
        "types": PLAN.get("types", ["platform", "function", "extension"]),
        "buffering": PLAN.get("buffering", {"timeoutMs": 25}),
        "destination": destination,
    }
    path = "/2020-08-15/logs" if logs else "/2022-07-01/telemetry"
    for times in range(PLAN.get("times", 1)):
        answer, text = call("PUT", path, body, **who)
        tell({"answer": answer.status, "body": text.decode(), "time": times})
    print("the extension speaks", flush=True)
    while True:
        _, event = call("GET", "/2020-01-01/extension/event/next", **who)
        event = json.loads(event)
        if event["eventType"] == "SHUTDOWN":
            answer, text = call("PUT", path, body, **who)
            tell({"answer": answer.status, "body": text.decode(), "shutdown": event["shutdownReason"]})
            return


main()

"""A small API server for the command line, over real sockets: objects, tables, watches, logs, tokens, and behind its
proxies a gateway and metrics.

The gateway's answers are made by the real codec (`lambent.wire.lambda_api`); the real API server is the judge of the
rest (tests/cluster/test_cli.py).
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from lambent.wire import lambda_api

FUNCTIONS = "/apis/lambent.dev/v1alpha1"
COLUMNS = [("Name", 0), ("Runtime", 0), ("Ready", 0), ("Timeout", 1), ("Age", 0)]


@dataclass
class Asked:
    method: str
    path: str
    query: dict
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Log:
    """What an environment wrote; `open` while it may write more."""

    lines: list = field(default_factory=list)
    open: bool = False
    started: bool = True


class FakeCluster:
    def __init__(self):
        self.objects = {}
        self.history = []
        self.version = 100
        self.requests = []
        self.refusals = []
        self.logs = {}
        self.metrics = {}
        self.good_token = None
        self.user = "jane"
        self.changed = threading.Condition()
        self.answer_invocation = lambda asked: Answer(asked.body or b"null")
        self.controller = lambda path, body: None
        """Called after every write of a client, as a controller would see it."""
        self.selectable_fields = True
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: Handler(self, *a))
        self.server.daemon_threads = True
        self.server.handle_error = lambda *a: None  # clients hang up
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    # --- what tests use ---

    def refuse(self, method, path, status, reason="Forbidden", message="no"):
        self.refusals.append((method, path, status, reason, message))

    def add(self, path, body=None, **metadata):
        """Create or replace the object at a path."""
        namespace = re.search(r"/namespaces/([^/]+)/", path)
        body = dict(body or {})
        old = self.objects.get(path, {}).get("metadata", {})
        body["metadata"] = {
            "name": path.rsplit("/", 1)[1],
            "uid": old.get("uid") or str(uuid.uuid4()),
            **({"namespace": namespace[1]} if namespace else {}),
            **metadata,
        }
        with self.changed:
            self.version += 1
            body["metadata"]["resourceVersion"] = str(self.version)
            self.objects[path] = body
            self.history.append((self.version, "MODIFIED" if old else "ADDED", path, body))
            self.changed.notify_all()
        return body

    def function(self, name, namespace="default", *, ready="True", function_name=None, **metadata):
        spec = {"runtime": "python3.11", "timeout": 3, **({"functionName": function_name} if function_name else {})}
        status = {"conditions": [{"type": "Ready", "status": ready}]}
        path = f"{FUNCTIONS}/namespaces/{namespace}/functions/{name}"
        return self.add(path, {"spec": spec, "status": status}, **metadata)

    def remove(self, path):
        with self.changed:
            self.version += 1
            body = self.objects.pop(path)
            self.history.append((self.version, "DELETED", path, body))
            self.changed.notify_all()
        return body

    def published(self, function, number, name=None, *, conditions=(), referenced_by=(), owner=None, **metadata):
        """A Version object of a function; `number` None while it has none."""
        fields, spec = function["metadata"], function["spec"]
        snapshot = {"codeSha256": f"sha-{number}", "revision": f"rev-{number}", "description": f"text {number}"}
        status = {"conditions": list(conditions)}
        if number:
            status |= {"version": number, "snapshot": snapshot, "publishedAt": f"2026-01-0{number}T00:00:00Z"}
        status |= {"referencedBy": list(referenced_by), "environments": 2}
        return self.add(
            f"{FUNCTIONS}/namespaces/{fields['namespace']}/versions/{name or fields['name'] + '.' + number}",
            {"spec": {"functionName": spec.get("functionName") or fields["name"]}, "status": status},
            ownerReferences=[owner_of(owner or fields["uid"])],
            **{"creationTimestamp": f"2026-01-0{number or 9}T00:00:00Z", **metadata},
        )

    def alias(
        self, function, alias, main="1", *, name=None, spec=(), status=(), weights=None, ready="True", **metadata
    ):
        """An Alias object of a function whose routing is in force."""
        fields = function["metadata"]
        routing = {"functionVersion": main, **({"additionalVersionWeights": weights} if weights else {})}
        found = {"conditions": [{"type": "Ready", "status": ready, "reason": "Available"}], "observedGeneration": 1}
        return self.add(
            f"{FUNCTIONS}/namespaces/{fields['namespace']}/aliases/{name or fields['name'] + '.' + alias}",
            {
                "spec": {
                    "functionName": function["spec"].get("functionName") or fields["name"],
                    "functionVersion": main,
                    **({"name": alias} if name else {}),
                    **dict(spec),
                },
                "status": {**found, "routing": routing, "targetVersion": main, **dict(status)},
            },
            **{"ownerReferences": [owner_of(fields["uid"])], "generation": 1, **metadata},
        )

    def alter(self, body, *, status=(), **metadata):
        """The same object with some of its status and metadata changed; None takes away."""
        path = next(path for path, each in self.objects.items() if each["metadata"]["uid"] == body["metadata"]["uid"])
        now = self.objects[path]
        merged = merged_with(now, {"status": dict(status), "metadata": metadata})
        return self.add(path, {key: merged[key] for key in merged if key != "metadata"}, **merged["metadata"])

    def environment(
        self, name, function, lines=(), *, phase="Running", still_writing=False, started=True, version="latest"
    ):
        metadata = function["metadata"]
        self.logs[name] = Log(list(lines), still_writing, started)
        return self.add(
            f"/api/v1/namespaces/{metadata['namespace']}/pods/{name}",
            {"status": {"phase": phase}, "spec": {"containers": [{"name": "environment"}]}},
            labels={
                "app.kubernetes.io/managed-by": "lambent",
                "app.kubernetes.io/component": "environment",
                "lambent.dev/function-uid": metadata["uid"],
                "lambent.dev/version": version,
            },
            annotations={"lambent.dev/function-name": function["spec"].get("functionName") or metadata["name"]},
        )

    def write(self, pod, *lines, last=False):
        with self.changed:
            self.logs[pod].lines += lines
            self.logs[pod].open = not last
            self.changed.notify_all()

    def release(self, name="lambent", namespace="lambent-system"):
        labels = {"app.kubernetes.io/name": "lambent", "app.kubernetes.io/instance": name}
        gateway = {**labels, "app.kubernetes.io/component": "gateway"}
        core = f"/api/v1/namespaces/{namespace}"
        self.add(
            f"{core}/services/{name}-gateway", {"spec": {"ports": [{"name": "http", "port": 8080}]}}, labels=gateway
        )
        internal = {"spec": {"ports": [{"name": "internal", "port": 8081}]}}
        self.add(f"{core}/services/{name}-gateway-internal", internal, labels=gateway)
        port = {"name": "metrics", "containerPort": 9090}
        pod = {"spec": {"containers": [{"name": "gateway", "ports": [port]}]}, "status": {"phase": "Running"}}
        self.add(f"{core}/pods/{name}-gateway-1", pod, labels=gateway)
        role = f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{name}-{namespace}-invoker"
        self.add(role, {}, labels={**labels, "lambent.dev/role": "invoker"})
        for process in ("gateway", "controller"):
            self.add(
                f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}-{process}",
                {
                    "spec": {"replicas": 1, "template": {"spec": {"containers": [{"image": f"example/{process}:1"}]}}},
                    "status": {"readyReplicas": 1},
                },
                labels={**labels, "app.kubernetes.io/component": process, "app.kubernetes.io/version": "0.1.0"},
            )

    def invocations(self):
        return [asked for asked in self.requests if asked.path.endswith("/invocations")]


@dataclass
class Answer:
    """What the gateway says."""

    body: bytes
    status: int = 200
    headers: tuple = ((b"x-amzn-RequestId", b"r-1"), (b"X-Amz-Executed-Version", b"$LATEST"))
    cut: int | None = None
    """Hang up after so many bytes."""

    @classmethod
    def error(cls, error):
        fields, body = lambda_api.encode_error(error, "r-1")
        return cls(body, error.status, tuple(fields))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, cluster, *arguments):
        self.cluster = cluster
        super().__init__(*arguments)

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.handle_one()

    def do_POST(self):
        self.handle_one()

    def do_PATCH(self):
        self.handle_one()

    def do_DELETE(self):
        self.handle_one()

    def handle_one(self):
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, self.read_body(headers))
        self.cluster.requests.append(asked)
        if self.cluster.good_token and headers.get("authorization") != f"Bearer {self.cluster.good_token}":
            return self.refuse(401, "Unauthorized", "Unauthorized")
        for method, path, status, reason, message in self.cluster.refusals:
            if asked.method == method and re.search(path, asked.path):
                return self.refuse(status, reason, message)
        if asked.path.endswith("/invocations"):
            return self.invoke(asked)
        if match := re.fullmatch(r"/api/v1/namespaces/([^/]+)/pods/([^/:]+):9090/proxy/metrics", asked.path):
            texts = self.cluster.metrics[match[2]]
            return self.reply(texts.pop(0) if len(texts) > 1 else texts[0], "text/plain")
        if match := re.fullmatch(r"/api/v1/namespaces/[^/]+/pods/([^/]+)/log", asked.path):
            return self.log(asked, match[1])
        if asked.path.endswith("/token"):
            token = f"token-of-{asked.path.split('/')[-2]}"
            return self.reply({"status": {"token": token}}, status=201)
        if asked.path.endswith("/selfsubjectreviews"):
            return self.reply({"status": {"userInfo": {"username": self.cluster.user}}}, status=201)
        if asked.path == "/version":
            return self.reply({"gitVersion": "v1.36.3"})
        if asked.method != "GET":
            return self.write(asked)
        return self.look_up(asked)

    def write(self, asked):
        """Create, merge, apply, delete: as far as the command line writes."""
        cluster, path, metadata = self.cluster, asked.path, {}
        old = cluster.objects.get(path)
        if asked.method == "POST":
            metadata = {"generation": 1, "creationTimestamp": "2026-02-01T00:00:00Z", **asked.json["metadata"]}
            path += "/" + metadata.setdefault("name", f"{metadata['generateName']}{len(cluster.objects):05}")
            made = cluster.add(path, {"spec": asked.json["spec"]}, **metadata)
        elif old is None and "apply" in asked.headers["content-type"]:
            made = cluster.add(path, {"spec": asked.json["spec"]}, **{"generation": 1, **asked.json["metadata"]})
        elif old is None:
            return self.refuse(404, "NotFound", f'"{path.rsplit("/", 1)[1]}" not found')
        elif asked.method == "DELETE":
            made = cluster.remove(path)
        else:
            expected = asked.json.get("metadata", {}).get("resourceVersion")
            if expected not in (None, old["metadata"]["resourceVersion"]):
                return self.refuse(409, "Conflict", "the object has been modified")
            made = merged_with(old, asked.json)
            grown = old["metadata"].get("generation", 1) + (made["spec"] != old["spec"])
            rest = {key: made[key] for key in made if key != "metadata"}
            made = cluster.add(path, rest, **{**made["metadata"], "generation": grown})
        self.reply(made, status=201 if asked.method == "POST" else 200)
        return cluster.controller(path, made)

    def read_body(self, headers):
        if headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(headers.get("content-length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def invoke(self, asked):
        answer = self.cluster.answer_invocation(asked)
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name.decode(), value.decode())
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body[: answer.cut])
        if answer.cut is not None:
            self.close_connection = True

    def look_up(self, asked):
        found = self.cluster.objects.get(asked.path)
        table = "as=Table" in asked.headers.get("accept", "")
        if found is not None:
            version = {"metadata": {"resourceVersion": str(self.cluster.version)}}
            return self.reply({**as_table([found]), **version} if table else found)
        if re.search(r"/(functions|versions|aliases|pods|services|deployments|clusterroles|namespaces)$", asked.path):
            fields = asked.query.get("fieldSelector", "metadata.name=").partition("=")[0]
            if fields != "metadata.name" and not self.cluster.selectable_fields:
                return self.refuse(400, "BadRequest", f"field label not supported: {fields}")
            if asked.query.get("watch") == "true":
                return self.watch(asked, table)
            items = [body for path, body in self.cluster.objects.items() if self.fits(asked, path, body)]
            metadata = {"resourceVersion": str(self.cluster.version)}
            return self.reply(
                {**as_table(items), "metadata": metadata} if table else {"metadata": metadata, "items": items}
            )
        kind, name = asked.path.split("/")[-2:]
        return self.refuse(404, "NotFound", f'{kind} "{name}" not found')

    def watch(self, asked, table):
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        seen = int(asked.query["resourceVersion"])
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with self.cluster.changed:
                for version, kind, path, body in list(self.cluster.history):
                    if version > seen and self.fits(asked, path, body):
                        event = {"type": kind, "object": as_table([body]) if table else body}
                        try:
                            self.wfile.write(json.dumps(event).encode() + b"\n")
                        except OSError:
                            return
                    seen = max(seen, version)
                self.cluster.changed.wait(0.1)

    def fits(self, asked, path, body):
        mine = path.rsplit("/", 1)[0]
        if asked.path not in (mine, re.sub(r"/namespaces/[^/]+/", "/", mine + "/").rstrip("/")):
            return False
        if fields := asked.query.get("fieldSelector"):
            place, _, name = fields.partition("=")
            return name == (body["metadata"]["name"] if place == "metadata.name" else body["spec"]["functionName"])
        labels = body["metadata"].get("labels") or {}
        selector = asked.query.get("labelSelector", "")
        pairs = re.findall(r"([^=, ]+)=([^, ]*)", selector)
        sets = re.findall(r"([^=, ]+) in \(([^)]*)\)", selector)
        return all(labels.get(name) == value for name, value in pairs) and all(
            labels.get(name) in values.split(",") for name, values in sets
        )

    def log(self, asked, pod):
        log = self.cluster.logs[pod]
        if not log.started:
            return self.refuse(400, "BadRequest", f"container environment in pod {pod} is waiting to start")
        lines = list(log.lines)
        since = asked.query.get("sinceTime", "")
        lines = [line for line in lines if line.split(" ")[0] >= since]
        if tail := asked.query.get("tailLines"):
            lines = lines[-int(tail) :]
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        for line in lines:
            self.wfile.write(line.encode() + b"\n")
        sent = len(log.lines)
        deadline = time.monotonic() + 20
        while asked.query.get("follow") == "true" and log.open and time.monotonic() < deadline:
            with self.cluster.changed:
                for line in log.lines[sent:]:
                    self.wfile.write(line.encode() + b"\n")
                sent = len(log.lines)
                self.cluster.changed.wait(0.1)
        for line in log.lines[sent:] if asked.query.get("follow") == "true" else ():
            self.wfile.write(line.encode() + b"\n")
        return None

    def refuse(self, status, reason, message):
        self.reply({"kind": "Status", "reason": reason, "message": message, "code": status}, status=status)

    def reply(self, body, kind="application/json", status=200):
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def owner_of(uid):
    return {"apiVersion": "lambent.dev/v1alpha1", "kind": "Function", "name": "x", "uid": uid}


def merged_with(old, patch):
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    found = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merged_with(found.get(key), value)
    return found


def as_table(items):
    return {
        "kind": "Table",
        "columnDefinitions": [{"name": name, "priority": priority} for name, priority in COLUMNS],
        "rows": [{"cells": cells(item), "object": {"metadata": item["metadata"]}} for item in items],
    }


def cells(item):
    spec = item.get("spec", {})
    ready = item.get("status", {}).get("conditions", [{}])[0].get("status", "")
    return [item["metadata"]["name"], spec.get("runtime", ""), ready, spec.get("timeout", ""), "5m"]

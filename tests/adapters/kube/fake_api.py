"""A small API server in memory: objects, versions, lists in pages, watches, server-side apply of a status, resizes.

It knows no schemas and no admission; the real one is the judge (tests/cluster). Failures are induced per request.
"""

from __future__ import annotations

import asyncio
import copy
import json
import re
import uuid
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import ApiClient, Configuration

from lambent.adapters.kube.client import KubeClient

PATH = re.compile(
    r"^(?P<prefix>/api/v1|/apis/[^/]+/[^/]+)(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[a-z]+)"
    r"(?:/(?P<name>[^/]+))?(?:/(?P<sub>status|resize))?$"
)
NAMESPACES = re.compile(r"^/api/v1/namespaces(?:/(?P<name>[^/]+))?$")


@dataclass
class Failure:
    """How the next requests that fit are answered: those whose path has this in it; `$` is the path's end."""

    method: str
    path: str
    status: int = 500
    reason: str = "InternalError"
    message: str = "induced"
    times: int = 1
    headers: dict = field(default_factory=dict)
    after: bool = False
    """The request is carried out, only its answer is lost."""


@dataclass
class Spoil:
    """How the next watches go wrong."""

    lines: tuple = ()
    times: int = 1
    hangs: bool = False
    released: asyncio.Event = field(default_factory=asyncio.Event)


def kind(name, singular, *, namespaced=True):
    verbs = ["get", "list", "watch", "patch"]
    return {"name": name, "kind": singular, "singularName": singular.lower(), "namespaced": namespaced, "verbs": verbs}


CORE_KINDS = [kind("pods", "Pod"), kind("namespaces", "Namespace", namespaced=False)]
VERSION = {"groupVersion": "lambent.dev/v1alpha1", "version": "v1alpha1"}
CRD_VERSION = {"groupVersion": "apiextensions.k8s.io/v1", "version": "v1"}
DISCOVERY = {
    "/api": {"versions": ["v1"]},
    "/apis": {
        "groups": [
            {"name": "lambent.dev", "versions": [VERSION], "preferredVersion": VERSION},
            {"name": "apiextensions.k8s.io", "versions": [CRD_VERSION], "preferredVersion": CRD_VERSION},
        ]
    },
    "/apis/lambent.dev/v1alpha1": {
        "resources": [
            kind("functions", "Function"),
            kind("versions", "Version"),
            kind("aliases", "Alias"),
            kind("layers", "Layer"),
            kind("layerversions", "LayerVersion"),
        ]
    },
    "/apis/apiextensions.k8s.io/v1": {
        "resources": [kind("customresourcedefinitions", "CustomResourceDefinition", namespaced=False)]
    },
}


class FakeApi:
    def __init__(self):
        self.objects = {}
        self.version = 100
        self.oldest = 0
        self.history = []
        self.requests = []
        self.accepted = []
        self.failures = []
        self.changed = asyncio.Condition()
        self.graceful = True
        self.users = {}
        self.asked = []
        self.says = {"allowed": False}
        self.bookmarks = True
        self.mute = False
        self.spoils = {}
        self.cuts = 0
        self.subresources = ["pods/resize"]
        self.applied = {}

    # --- what tests use ---

    async def start(self, port=None):
        self.server = TestServer(web.Application(), port=port)
        self.server.app.router.add_route("*", "/{path:.*}", self.answer)
        await self.server.start_server(shutdown_timeout=0.1)
        self.client = KubeClient(ApiClient(Configuration(host=str(self.server.make_url("")).rstrip("/"))))
        return self

    async def stop(self):
        await self.client.close()
        await self.server.close()

    def fail(self, method, path, **how):
        self.failures.append(Failure(method, path, **how))

    def writes(self, path=""):
        return [(method, where) for method, where in self.requests if method != "GET" and path in where]

    def add(self, collection, body):
        """An object that somebody else made; returns it as stored."""
        return self._store(f"{collection}/{body['metadata']['name']}", self._fresh(collection, body), "ADDED")

    def change(self, path, change):
        body = copy.deepcopy(self.objects[path])
        change(body)
        return self._store(path, body, "MODIFIED")

    def remove(self, path):
        body = copy.deepcopy(self.objects.pop(path))
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        self.history.append((self.version, "DELETED", path, body))
        self._wake()
        return body

    def under(self, collection):
        return [body for path, body in self.objects.items() if path.rsplit("/", 1)[0].endswith(collection)]

    def cut(self):
        """End every watch that is open, as a restarted server does."""
        self.cuts += 1
        self._wake()

    # --- how it answers ---

    async def answer(self, request):
        path, method = request.path, request.method
        self.requests.append((method, path))
        self.accepted.append((path, request.headers.get("Accept", "")))
        failure = self._failure(method, path)
        if failure and not failure.after:
            return status(failure.status, failure.reason, failure.message, failure.headers)
        body = json.loads(await request.read() or b"null")
        if path in DISCOVERY:
            return reply(DISCOVERY[path])
        if path == "/api/v1":
            return reply({"resources": [*CORE_KINDS, *({"name": name} for name in self.subresources)]})
        match = PATH.match(path) if not NAMESPACES.match(path) else NAMESPACES.match(path)
        if match is None:
            return status(404, "NotFound", path)
        parts = match.groupdict()
        if path.endswith("tokenreviews"):
            return self._review(body)
        if path.endswith("subjectaccessreviews"):
            self.asked.append(body["spec"])
            return reply({"status": self.says}, 201)
        if method == "GET" and parts["name"] is None:
            if request.query.get("watch") == "true":
                return await self._watch(request)
            return self._list(request)
        answered = self._object(method, path, parts, body, request)
        if failure:
            return status(failure.status, failure.reason, failure.message, failure.headers)
        return answered

    def _failure(self, method, path):
        for failure in self.failures:
            if failure.method == method and failure.path in f"{path}$" and failure.times > 0:
                failure.times -= 1
                return failure
        return None

    def _object(self, method, path, parts, body, request):
        item = path.rsplit("/", 1)[0] if parts.get("sub") else path
        if method == "POST":
            item = f"{path}/{body['metadata']['name']}"
            if item in self.objects:
                return status(409, "AlreadyExists", f"{item} already exists")
            return reply(self._store(item, self._fresh(path, body), "ADDED"), 201)
        applied = method == "PATCH" and "apply-patch" in request.content_type and not parts.get("sub")
        if item not in self.objects and applied:
            collection = item.rsplit("/", 1)[0]
            return reply(self._store(item, self._fresh(collection, body), "ADDED"), 201)
        if item not in self.objects:
            return status(404, "NotFound", f"{item} not found")
        here = self.objects[item]
        if method == "GET":
            return reply(here)
        if method == "DELETE":
            return self._delete(item, here, body)
        wanted = (body.get("metadata") or {}).get("resourceVersion")
        if wanted not in (None, here["metadata"]["resourceVersion"]):
            return status(409, "Conflict", "the object has been modified")
        if (body.get("metadata") or {}).get("uid") not in (None, here["metadata"]["uid"]):
            return status(409, "Conflict", "Precondition failed: UID")
        after = copy.deepcopy(here)
        if parts.get("sub") == "resize":
            resize(after, body)
        elif parts.get("sub") and "apply-patch" in request.content_type:
            if emptied := nulled(here.get("status") or {}, body["status"]):
                return status(422, "Invalid", f"{emptied} must be of type object or array: null")
            self._apply_status(after, body["status"], request.query["fieldManager"])
        elif parts.get("sub"):
            after["status"] = body["status"]
        elif request.content_type == "application/merge-patch+json":
            merge(after, body)
        else:
            after.update({key: value for key, value in body.items() if key != "metadata"})
            owners = {one["uid"]: one for one in body["metadata"].get("ownerReferences") or []}
            if owners:
                owners = {one["uid"]: one for one in after["metadata"].get("ownerReferences") or []} | owners
                after["metadata"]["ownerReferences"] = list(owners.values())
            if labels := body["metadata"].get("labels"):
                merge(after["metadata"], {"labels": labels})
        if after == here:
            return reply(here)
        return reply(self._store(item, after, "MODIFIED"))

    def _apply_status(self, after, status, manager):
        """Each manager's fields, by their first name: what it does not apply any more is gone, others' stay."""
        owned = self.applied.setdefault(after["metadata"]["uid"], {})
        others = {name for other, names in owned.items() if other != manager for name in names}
        before = after.get("status") or {}
        kept = {name: value for name, value in before.items() if name in others}
        owned[manager] = set(status)
        after["status"] = {**kept, **status}

    def _delete(self, item, here, body):
        uid = ((body or {}).get("preconditions") or {}).get("uid")
        if uid not in (None, here["metadata"]["uid"]):
            return status(409, "Conflict", "Precondition failed: UID")
        if "/pods/" in item and self.graceful:
            after = copy.deepcopy(here)
            after["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            return reply(self._store(item, after, "MODIFIED"))
        return reply(self.remove(item))

    def _list(self, request):
        bodies = self._selected(request.path, request.query.get("labelSelector", ""))
        bodies = [shown(body, request) for body in bodies]
        start, limit = int(request.query.get("continue") or 0), int(request.query.get("limit") or 10**9)
        metadata = {"resourceVersion": str(self.version)}
        if start + limit < len(bodies):
            metadata["continue"] = str(start + limit)
        return reply({"metadata": metadata, "items": bodies[start : start + limit]})

    def _selected(self, path, selector):
        return [body for where, body in self.objects.items() if belongs(where, path) and fits(body, selector)]

    async def _watch(self, request):
        since = int(request.query["resourceVersion"])
        response = web.StreamResponse()
        if self.spoils and any(fragment in request.path for fragment in self.spoils):
            return await self._spoiled(request, response)
        if since < self.oldest:
            return status(410, "Expired", "too old resource version")
        await response.prepare(request)
        deadline = asyncio.get_running_loop().time() + float(request.query.get("timeoutSeconds", 300))
        cuts = self.cuts
        while asyncio.get_running_loop().time() < deadline and cuts == self.cuts:
            for version, kind, where, body in list(self.history):
                if (
                    version > since
                    and belongs(where, request.path)
                    and fits(body, request.query.get("labelSelector", ""))
                ):
                    since = version
                    event = {"type": kind, "object": shown(body, request)}
                    await response.write(json.dumps(event).encode() + b"\n")
            if self.bookmarks and not self.mute:
                bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(self.version)}}}
                await response.write(json.dumps(bookmark).encode() + b"\n")
            try:
                async with asyncio.timeout(0.2), self.changed:
                    await self.changed.wait()
            except TimeoutError:
                pass
        return response

    async def _spoiled(self, request, response):
        """A watch that says what a test wants said, once or again and again, and then ends or hangs."""
        [fragment] = [fragment for fragment in self.spoils if fragment in request.path]
        spoil = self.spoils[fragment]
        spoil.times -= 1
        if spoil.times <= 0:
            del self.spoils[fragment]
        await response.prepare(request)
        for line in spoil.lines:
            await response.write(line)
        if spoil.hangs:
            await spoil.released.wait()
        return response

    def _review(self, body):
        user = self.users.get(body["spec"]["token"])
        if user is None:
            return reply({"status": {"authenticated": False}}, 201)
        name, audiences = user
        user = name if isinstance(name, dict) else {"username": name}
        return reply({"status": {"authenticated": True, "user": user, "audiences": audiences}}, 201)

    def _fresh(self, collection, body):
        body = copy.deepcopy(body)
        namespace = re.search(r"/namespaces/([^/]+)/", collection + "/")
        body["metadata"].setdefault("uid", str(uuid.uuid4()))
        body["metadata"].setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
        body["metadata"].setdefault("generation", 1)
        if namespace and not collection.endswith("/namespaces"):
            body["metadata"]["namespace"] = namespace[1]
        return body

    def _store(self, path, body, kind):
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        self.objects[path] = body
        self.history.append((self.version, kind, path, copy.deepcopy(body)))
        self._wake()
        return copy.deepcopy(body)

    def _wake(self):
        async def wake():
            async with self.changed:
                self.changed.notify_all()

        self._waking = asyncio.ensure_future(wake())


def shown(body, request):
    """An object as asked for: whole, or its metadata."""
    if "PartialObjectMetadata" not in request.headers.get("Accept", ""):
        return body
    return {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": body["metadata"]}


def belongs(item, collection):
    """Whether an object's path lies in a collection, of one namespace or of all."""
    mine = item.rsplit("/", 1)[0]
    return mine == collection or re.sub(r"/namespaces/[^/]+/", "/", mine + "/").rstrip("/") == collection


def fits(body, selector):
    labels = body["metadata"].get("labels") or {}
    return all(
        labels.get(key) == value for key, _, value in (part.partition("=") for part in selector.split(",") if part)
    )


def merge(target, patch):
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            merge(target[key], value)
        elif value is None:
            target.pop(key, None)
        else:
            target[key] = value


def resize(target, patch):
    """A strategic merge patch of containers' resources, by name."""
    for wanted in patch["spec"]["containers"]:
        [container] = [each for each in target["spec"]["containers"] if each["name"] == wanted["name"]]
        merge(container["resources"], wanted["resources"])


def nulled(before, after, path="status"):
    """Where an apply empties a list or map that had entries: the real one makes null of it, which no schema allows."""
    if before and after in ({}, []):
        return path
    if isinstance(before, dict) and isinstance(after, dict):
        return next(
            (found for name in after if (found := nulled(before.get(name), after[name], f"{path}.{name}"))), None
        )
    return None


def reply(body, code=200):
    return web.json_response(body, status=code)


def status(code, reason, message, headers=None):
    body = {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": code}
    return web.json_response(body, status=code, headers=headers)

"""What a cluster test does: apply functions as a user would, invoke them as AWS's client does, look at pods."""

from __future__ import annotations

import base64
import io
import json
import secrets
import textwrap
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from releases import Cluster, Release

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """What AWS's client got from one invocation."""

    payload: bytes
    error: str | None
    version: str
    log: str
    status: int
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.payload)


def zipped(files: dict[str, str | bytes], modes: dict[str, int] | None = None) -> str:
    """A zip archive of these files, base64."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (modes or {}).get(name, 0o644) << 16
            archive.writestr(entry, content)
    return base64.b64encode(buffer.getvalue()).decode()


def eventually(question: Callable[[], T], seconds: float = 60, pause: float = 0.2) -> T:
    """The first true answer; the last answer's failure when none comes within the bound."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds} s: {question}"
        time.sleep(pause)


@dataclass
class Driver:
    """One test's hands."""

    cluster: Cluster
    release: Release
    client: Any
    namespace: str
    applied: list[str] = field(default_factory=list)
    image_uri: str | None = None
    """Functions made from source are then container images that run it."""

    def function(self, source: str | None = None, name: str | None = None, **spec: Any) -> str:
        """Apply a Python function from source (or with `code=` given), wait until Ready, return its name."""
        name = self.apply(source, name, **spec)
        self.wait_ready(name)
        return name

    def apply(self, source: str | None = None, name: str | None = None, **spec: Any) -> str:
        """Apply without waiting."""
        name = name or f"t-{secrets.token_hex(4)}"
        wanted: dict[str, Any] = {
            "runtime": "python3.11",
            "handler": "index.handler",
            "memorySize": 1024,
            "timeout": 10,
            **spec,
        }
        if source is not None:
            wanted |= self._code_of(textwrap.dedent(source), wanted)
        body = {
            "apiVersion": "lambent.dev/v1alpha1",
            "kind": "Function",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {key: value for key, value in wanted.items() if value is not None},
        }
        self.cluster.run_kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(body))
        if name not in self.applied:
            self.applied.append(name)
        return name

    def _code_of(self, source: str, wanted: dict[str, Any]) -> dict[str, Any]:
        if self.image_uri is None or wanted["runtime"] != "python3.11":
            return {"code": {"inline": source}}
        variables = wanted.get("environment", {}).get("variables", {})
        start = "printenv SOURCE >/tmp/index.py && cd /tmp && exec env PYTHONPATH=/function python3 -m awslambdaric $0"
        return {
            "packageType": "Image",
            "runtime": None,
            "handler": None,
            "code": {"imageUri": self.image_uri},
            "imageConfig": {"entryPoint": ["/bin/sh", "-c", start], "command": ["index.handler"]},
            "environment": {"variables": {**variables, "SOURCE": source}},
        }

    def wait_ready(self, name: str, seconds: int = 60) -> None:
        self.cluster.run_kubectl(
            "wait", "-n", self.namespace, "--for=condition=Ready", f"fn/{name}", f"--timeout={seconds}s"
        )
        eventually(lambda: self.observed_is_current(name))

    def observed_is_current(self, name: str) -> bool:
        found = self.get(name)
        return found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"]

    def get(self, name: str) -> dict[str, Any]:
        return self.cluster.get("fn", name, "-n", self.namespace)

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        """One condition of a function, or an empty dict."""
        conditions = self.get(name).get("status", {}).get("conditions", [])
        return next((entry for entry in conditions if entry["type"] == kind), {})

    def invoke(self, name: str, event: Any = None, **arguments: Any) -> Answer:
        """Invoke with the log tail; raises the client's own exceptions."""
        payload = event if isinstance(event, bytes) else json.dumps(event if event is not None else {}).encode()
        got = self.client.invoke(**{"FunctionName": name, "Payload": payload, "LogType": "Tail", **arguments})
        return Answer(
            payload=got["Payload"].read(),
            error=got.get("FunctionError"),
            version=got.get("ExecutedVersion", ""),
            log=base64.b64decode(got.get("LogResult", "")).decode(errors="replace"),
            status=got["StatusCode"],
            headers=got["ResponseMetadata"]["HTTPHeaders"],
        )

    def pods(self, name: str) -> list[dict[str, Any]]:
        """Pods of a function, by its name's annotation (they outlive the object for a moment)."""
        found = self.cluster.get("pods", "-n", self.namespace, "-l", "app.kubernetes.io/component=environment")
        return [
            pod
            for pod in found["items"]
            if pod["metadata"].get("annotations", {}).get("lambent.dev/function-name") == name
        ]

    def events(self, name: str) -> list[dict[str, Any]]:
        """Kubernetes Events about a function."""
        found = self.cluster.get("events", "-n", self.namespace)
        return [event for event in found["items"] if event["involvedObject"]["name"] == name]

    def delete(self, name: str, *, wait: bool = True) -> None:
        self.cluster.run_kubectl("delete", "-n", self.namespace, f"fn/{name}", f"--wait={str(wait).lower()}")

    def clean_up(self) -> None:
        for name in self.applied:
            self.cluster.run_kubectl(
                "delete", "-n", self.namespace, f"fn/{name}", "--ignore-not-found", "--wait=false", check=False
            )

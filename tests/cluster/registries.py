"""A real registry for the tests of image functions: Debian's docker-registry on the node's own address, plain HTTP.

Also what stands before one to be slow, and what brings images into it: archives that `build-images` made, or images
made by hand of a few files (another architecture, no ENTRYPOINT). Standard library only.
"""

from __future__ import annotations

import base64
import contextlib
import crypt
import gzip
import hashlib
import http.client
import json
import select
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from releases import Failed

sys.path.insert(0, str(Path(__file__).parent))
from local import archives, debian
from local.network import NODE_ADDRESS
from local.state import State

USER, PASSWORD = "puller", "not-the-default"
OPEN, AUTHENTICATED, STALLING = (f"{NODE_ADDRESS}:{port}" for port in (15000, 15001, 15002))
"""Always the same addresses, so that a release can be told beforehand which registries speak plain HTTP."""
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True)
class ImageFiles:
    """An image as a registry takes it: its configuration and its layers, each a tar."""

    config: dict[str, Any]
    layers: tuple[bytes, ...]

    @classmethod
    def of_archive(cls, archive: Path) -> ImageFiles:
        """What a docker archive holds."""
        with tarfile.open(archive) as tar:
            read = lambda name: tar.extractfile(name).read()  # type: ignore[union-attr]  # noqa: E731
            [entry] = json.loads(read("manifest.json"))
            return cls(json.loads(read(entry["Config"])), tuple(read(layer) for layer in entry["Layers"]))

    @classmethod
    def of_files(cls, files: dict[str, bytes], architecture: str = "amd64", **config: Any) -> ImageFiles:
        """One layer of executable files; `config` as Docker writes it: Entrypoint, Cmd, Env, WorkingDir."""
        layer = archives.tarred({name: (body, 0o755) for name, body in files.items()})
        whole = {
            "architecture": architecture,
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
        return cls(whole, (layer,))


@dataclass
class Registry:
    """One running registry; `host` is how images are named: address and port."""

    host: str
    authenticated: bool = False
    pushed: dict[str, str] = field(default_factory=dict)

    def push(self, image: ImageFiles, name: str, tag: str = "latest") -> str:
        """Brings an image in; its reference by digest."""
        layers = [self._blob(name, gzip.compress(layer, 1, mtime=0), _LAYER) for layer in image.layers]
        config = self._blob(name, json.dumps(image.config).encode(), _CONFIG)
        manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": layers}
        body = json.dumps(manifest).encode()
        self._call("PUT", f"/v2/{name}/manifests/{tag}", body, {"Content-Type": _MANIFEST}, 201)
        return f"{self.host}/{name}@sha256:{hashlib.sha256(body).hexdigest()}"

    def push_archive(self, archive: bytes, name: str, tag: str = "latest", media_type: str = "application/zip") -> str:
        """Brings a zip archive in, as `oras push` does; the artifact by its tag."""
        layer = self._blob(name, archive, media_type)
        empty = self._blob(name, b"{}", "application/vnd.oci.empty.v1+json")
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "artifactType": "application/vnd.unknown.artifact.v1",
            "config": empty,
            "layers": [layer],
        }
        self._call(
            "PUT", f"/v2/{name}/manifests/{tag}", json.dumps(manifest).encode(), {"Content-Type": _MANIFEST}, 201
        )
        return self.reference(name, tag)

    def reference(self, name: str, tag: str = "latest") -> str:
        """The image by its tag."""
        return f"{self.host}/{name}:{tag}"

    def pull_secret(self, name: str) -> dict[str, Any]:
        """A Secret with which a node may pull."""
        auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        logins = {"auths": {self.host: {"username": USER, "password": PASSWORD, "auth": auth}}}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": json.dumps(logins)},
        }

    def _blob(self, name: str, body: bytes, media_type: str) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        start = self._call("POST", f"/v2/{name}/blobs/uploads/", b"", {}, 202)
        place = start["location"].split(self.host, 1)[-1]
        binary = {"Content-Type": "application/octet-stream"}
        self._call("PUT", f"{place}{'&' if '?' in place else '?'}digest={digest}", body, binary, 201)
        return {"mediaType": media_type, "digest": digest, "size": len(body)}

    def _call(self, method: str, path: str, body: bytes, headers: dict[str, str], expected: int) -> dict[str, str]:
        if self.authenticated:
            token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            headers = {**headers, "Authorization": f"Basic {token}"}
        connection = http.client.HTTPConnection(self.host, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != expected:
                raise Failed(f"{method} {path} at {self.host}: {answer.status} {said[:300]!r}")
            return {name.lower(): value for name, value in answer.getheaders()}


@contextlib.contextmanager
def running(state: State, *, authenticated: bool = False) -> Iterator[Registry]:
    """A registry that the node pulls from until the block ends; its images go with it."""
    debian.install(debian.REGISTRY, state)
    registry = Registry(AUTHENTICATED if authenticated else OPEN, authenticated)
    port = int(registry.host.split(":")[1])
    with tempfile.TemporaryDirectory(prefix="lambent-registry-") as folder, trusted(state, registry.host):
        config = Path(folder) / "config.yml"
        config.write_text(json.dumps(configuration(Path(folder), port, authenticated)))
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(["docker-registry", "serve", config], stdout=log, stderr=log)
        try:
            await_listening(process, port, Path(folder) / "log")
            yield registry
        finally:
            process.terminate()
            process.wait()


def configuration(folder: Path, port: int, authenticated: bool) -> dict[str, Any]:
    """docker-registry's, as JSON, which is YAML."""
    config: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": f"{NODE_ADDRESS}:{port}"},
    }
    if authenticated:
        hashed = crypt.crypt(PASSWORD, crypt.mksalt(crypt.METHOD_BLOWFISH))
        (folder / "htpasswd").write_text(f"{USER}:{hashed}\n")
        config["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    return config


@contextlib.contextmanager
def trusted(state: State, host: str) -> Iterator[None]:
    """The node speaks plain HTTP to this registry; containerd reads the folder at each pull."""
    folder = state.registries / host
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hosts.toml").write_text(
        f'server = "http://{host}"\n[host."http://{host}"]\n  capabilities = ["pull", "resolve"]\n'
    )
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def node_reads_folder(state: State) -> bool:
    """Whether the running containerd was started with the folder: one that is older has to be started anew."""
    try:
        return str(state.registries) in (state.node / "containerd.toml").read_text()
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def stalling(state: State, behind: Registry) -> Iterator[tuple[Registry, threading.Event]]:
    """The same registry at another port, where layers do not come before the event is set: a very slow pull."""
    go_on = threading.Event()
    address, port = STALLING.split(":")
    listener = socket.create_server((address, int(port)), backlog=64)
    front = Registry(STALLING, behind.authenticated)
    threading.Thread(target=_accept, args=(listener, behind.host, go_on), daemon=True).start()
    with trusted(state, front.host):
        try:
            yield front, go_on
        finally:
            go_on.set()
            listener.close()


def _accept(listener: socket.socket, host: str, go_on: threading.Event) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_relay, args=(client, host, go_on), daemon=True).start()


def _relay(client: socket.socket, host: str, go_on: threading.Event) -> None:
    """Bytes both ways; what asks for a blob waits."""
    address, port = host.split(":")
    with client, socket.create_connection((address, int(port))) as server, contextlib.suppress(OSError):
        while True:
            for ready in select.select([client, server], [], [])[0]:
                data = ready.recv(65536)
                if not data:
                    return
                if ready is client and b"/blobs/" in data:
                    go_on.wait(300)
                (server if ready is client else client).sendall(data)


def await_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Returns when the registry answers; Failed with its words when it ends instead."""
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError), socket.create_connection((NODE_ADDRESS, port), 1):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise Failed(f"docker-registry does not serve: {log.read_text(errors='replace')[-500:]}")
        time.sleep(0.05)

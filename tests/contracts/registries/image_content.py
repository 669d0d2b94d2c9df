"""Images made by hand, and how they get into a registry: blobs, manifests and indexes over its own HTTP API."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from typing import Any

import aiohttp

OCI = "application/vnd.oci.image"
DOCKER = "application/vnd.docker"
CONFIG, DOCKER_CONFIG = f"{OCI}.config.v1+json", f"{DOCKER}.container.image.v1+json"
LAYER, DOCKER_LAYER = f"{OCI}.layer.v1.tar+gzip", f"{DOCKER}.image.rootfs.diff.tar.gzip"
MANIFEST, DOCKER_MANIFEST = f"{OCI}.manifest.v1+json", f"{DOCKER}.distribution.manifest.v2+json"
INDEX, DOCKER_LIST = f"{OCI}.index.v1+json", f"{DOCKER}.distribution.manifest.list.v2+json"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def encoded(fields: Any) -> bytes:
    return json.dumps(fields).encode()


def layer(text: str = "a file") -> bytes:
    """A file system's layer: a compressed archive with one file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("file")
        entry.size = len(text.encode())
        archive.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(packed.getvalue(), mtime=0)


@dataclass(frozen=True)
class Document:
    """A manifest or an index, and the blobs and manifests that it refers to."""

    media_type: str
    content: bytes
    blobs: tuple[bytes, ...] = ()
    parts: tuple[Document, ...] = ()

    @property
    def digest(self) -> str:
        return digest_of(self.content)

    @property
    def hex(self) -> str:
        return self.digest.partition(":")[2]


@dataclass(frozen=True)
class Image:
    """What an image says of itself; `said` is the `config` of its configuration."""

    said: dict[str, Any] = field(default_factory=lambda: {"Entrypoint": ["/start"], "Cmd": ["app.handler"]})
    os: str = "linux"
    architecture: str = "amd64"
    layers: tuple[bytes, ...] = (layer(),)
    docker: bool = False

    @property
    def size(self) -> int:
        return sum(map(len, self.layers))

    def config(self) -> bytes:
        rootfs = {"type": "layers", "diff_ids": [digest_of(gzip.decompress(one)) for one in self.layers]}
        return encoded({"os": self.os, "architecture": self.architecture, "config": self.said, "rootfs": rootfs})

    def manifest(self) -> Document:
        config = self.config()
        kinds = (DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER) if self.docker else (MANIFEST, CONFIG, LAYER)
        return manifest_of(kinds, config, self.layers)


def described(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def manifest_of(kinds: tuple[str, str, str], config: bytes, layers: tuple[bytes, ...], **more: Any) -> Document:
    manifest_type, config_type, layer_type = kinds
    fields = {
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "config": described(config_type, config),
        "layers": [described(layer_type, one) for one in layers],
    }
    return Document(manifest_type, encoded({**fields, **more}), (config, *layers))


def index_of(*entries: tuple[str, Document], media_type: str = INDEX) -> Document:
    """An index; each entry is a platform (`linux/arm64/v8`) and its manifest. Without platform: an attestation."""
    manifests = []
    for platform, part in entries:
        entry = described(part.media_type, part.content)
        if platform:
            entry["platform"] = dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
        else:
            entry["platform"] = {"os": "unknown", "architecture": "unknown"}
            entry["annotations"] = {"vnd.docker.reference.type": "attestation-manifest"}
        manifests.append(entry)
    content = encoded({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests})
    return Document(media_type, content, parts=tuple(part for _, part in entries))


async def push(url: str, repository: str, tag: str | None, pushed: Document, authorization: str = "") -> None:
    """Everything that a document refers to, then the document, by tag or by digest."""
    headers = {"Authorization": authorization} if authorization else {}
    async with aiohttp.ClientSession(headers=headers) as session:
        for part in pushed.parts:
            await push(url, repository, None, part, authorization)
        for blob in pushed.blobs:
            async with session.post(f"{url}/v2/{repository}/blobs/uploads/") as answer:
                assert answer.status == 202, await answer.text()
                place = answer.headers["Location"]
            place += ("&" if "?" in place else "?") + f"digest={digest_of(blob)}"
            octets = {"Content-Type": "application/octet-stream"}
            async with session.put(
                place if place.startswith("http") else url + place, data=blob, headers=octets
            ) as answer:
                assert answer.status == 201, await answer.text()
        async with session.put(
            f"{url}/v2/{repository}/manifests/{tag or pushed.digest}",
            data=pushed.content,
            headers={"Content-Type": pushed.media_type},
        ) as answer:
            assert answer.status == 201, await answer.text()

"""One source, once: read what it refers to, fetch, package, see that the store has it. Remembers nothing.

Values of Secrets live as long as the request that they are for; nothing here keeps, logs or words them.
"""

from __future__ import annotations

import asyncio
import io
import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import replace
from typing import Any, BinaryIO

from pydantic import ValidationError

from lambent.adapters.kube.resources import FUNCTIONS, LAYERS
from lambent.adapters.sources.buckets import BucketObject
from lambent.adapters.sources.fetching import Fetched
from lambent.adapters.sources.web import WebAddress
from lambent.controller.measuring import SUCCESS
from lambent.controller.suppliers import (
    Artifacts,
    CodeStore,
    Slots,
    StoppedError,
    Suppliers,
    missing,
    pull_secret,
    read,
    s3_credentials,
)
from lambent.core import code_texts, packaging, sources
from lambent.core.packaging import Package
from lambent.core.readiness import Obtained, Problem, ResolvedImage, StoredCode
from lambent.core.references import Reference
from lambent.core.sources import CodeOwner
from lambent.model.codes import ArchiveSource, Code
from lambent.model.conditions import ConditionType, Reason
from lambent.model.errors import FetchFailed, InvalidCode, InvalidImage, Refused, Unavailable
from lambent.model.functions import FunctionObject
from lambent.model.layers import LayerObject
from lambent.model.troubles import Trouble
from lambent.wire.signed_urls import blob_path, sign_path

log = logging.getLogger(__name__)

SIGNATURE_SECONDS = 600
_NOT_OFFERED = "this controller was told of nowhere to fetch code from"


class Obtainer:
    """Obtains code, some at once, the same address only once at a time."""

    def __init__(self, codestore: CodeStore, url_key: bytes, suppliers: Suppliers | None) -> None:
        self._codestore = codestore
        self._url_key = url_key
        self._suppliers = suppliers
        self._slots = Slots()
        self._shared: dict[tuple[str, str], asyncio.Task[StoredCode]] = {}
        self._storing: Counter[str] = Counter()

    def busy(self) -> frozenset[str]:
        """Digests that are being stored now."""
        return frozenset(self._storing)

    async def obtain(self, owner: CodeOwner, source: str) -> Obtained | Problem:
        """The code of the present specification, stored. Raises nothing on purpose: failures are problems."""
        try:
            obtained = await self._obtain(owner)
        except _StoreAwayError as away:
            if not _was_stored(owner, away.code):
                return away.problem
            # it was there before: the function is not taken away because nobody can be asked just now
            log.warning("code of %s/%s not checked: %s", owner.namespace, owner.name, away)
            obtained = away.code
        except StoppedError as stopped:
            return stopped.problem
        except FetchFailed as failed:
            return sources.problem_of(failed)
        except (InvalidCode, InvalidImage) as error:
            image = owner.spec.origin.image_uri is not None
            return Problem(Reason.INVALID_IMAGE if image else Reason.INVALID_CODE, str(error))
        return replace(obtained, source=source)

    async def has(self, sha256_hex: str) -> bool:
        """Whether the store has a blob. Raises Unavailable."""
        return await self._codestore.has(self._sign("HEAD", sha256_hex))

    async def _obtain(self, owner: CodeOwner) -> Obtained:
        origin = owner.spec.origin
        code = origin.code
        if code_texts.are_left_out(code):
            code = await self._whole_code(owner)
        if code.zip_file is not None:
            where = f"{origin.field}.zipFile"
            return await self._store(await asyncio.to_thread(packaging.from_text, code.zip_file, where))
        if isinstance(code, Code) and code.inline is not None:
            return await self._store(await asyncio.to_thread(packaging.package, code, origin.runtime or ""))
        if self._suppliers is None:
            raise InvalidCode(_NOT_OFFERED)
        return await self._supplied(owner, self._suppliers)

    async def _supplied(self, owner: CodeOwner, suppliers: Suppliers) -> Obtained:
        code = owner.spec.origin.code
        if code.url is not None:
            return await self._at_address(owner, suppliers, code.url, code.sha256)
        if code.s3_bucket is not None:
            with self._measured("s3"):
                return await self._in_bucket(owner, suppliers)
        if code.config_map_ref is not None:
            with self._measured("config_map"):
                return await self._in_config_map(owner, suppliers)
        if code.artifact_uri is not None:
            with self._measured("artifact"):
                return await self._as_artifact(owner, suppliers, code.artifact_uri)
        with self._measured("image"):
            return await self._as_image(owner, suppliers)

    async def _whole_code(self, owner: CodeOwner) -> ArchiveSource:
        """The code of an object whose text the controller's store does not hold."""
        if self._suppliers is None:
            raise InvalidCode(_NOT_OFFERED)
        kind = owner.spec.origin.kind
        whole: CodeOwner
        try:
            if isinstance(owner, FunctionObject):
                path = FUNCTIONS.item(owner.namespace, owner.name)
                whole = FunctionObject.from_kubernetes(await self._suppliers.objects.request("GET", path))
            else:
                path = LAYERS.item(owner.namespace, owner.name)
                whole = LayerObject.from_kubernetes(await self._suppliers.objects.request("GET", path))
        except (Refused, Unavailable, ValidationError) as error:
            words = f"the {kind} cannot be read: {type(error).__name__}"
            raise StoppedError(Problem(Reason.CODE_UNAVAILABLE, words)) from None
        if code_texts.shortened(whole.spec.origin.code) != owner.spec.origin.code:
            raise StoppedError(Problem(Reason.CODE_UNAVAILABLE, f"the {kind} has changed meanwhile"))
        return whole.spec.origin.code

    # --- each kind of source ---

    async def _at_address(self, owner: CodeOwner, suppliers: Suppliers, url: str, digest: str | None) -> StoredCode:
        field = owner.spec.origin.field
        if digest is None:  # an object from before the rule
            raise InvalidCode(f"{field}.url needs {field}.sha256")
        key = (url, digest)
        task = self._shared.get(key)
        if task is None:
            task = asyncio.create_task(self._fetch_address(owner.namespace, suppliers, url, digest))
            self._shared[key] = task
            task.add_done_callback(lambda ended: self._unshare(key, ended))
        try:
            return await asyncio.shield(task)
        except FetchFailed as failed:
            raise FetchFailed(failed.trouble, f"{field}.url: {failed}") from None

    def _unshare(self, key: tuple[str, str], ended: asyncio.Task[StoredCode]) -> None:
        self._shared.pop(key, None)
        if not ended.cancelled():
            ended.exception()  # whoever waits has it; nobody may be waiting any more

    async def _fetch_address(self, namespace: str, suppliers: Suppliers, url: str, digest: str) -> StoredCode:
        with self._measured("url"):
            async with self._slots.one(namespace):
                return await self._fetch(suppliers, WebAddress(url), digest, "url")

    async def _in_bucket(self, owner: CodeOwner, suppliers: Suppliers) -> StoredCode:
        origin = owner.spec.origin
        code = origin.code
        credentials, region = None, None
        if code.s3_credentials_secret_ref is not None:
            name = code.s3_credentials_secret_ref.name
            where = f"{origin.field}.s3CredentialsSecretRef"
            secret = await read(suppliers.objects, owner.namespace, Reference("Secret", name), where)
            credentials, region = s3_credentials(name, secret, where)
        source = BucketObject(
            bucket=code.s3_bucket or "",
            key=code.s3_key or "",
            version=code.s3_object_version,
            endpoint=code.s3_endpoint or suppliers.s3_endpoint,
            region=region or suppliers.s3_region,
            trusted=code.s3_endpoint is None and bool(suppliers.s3_endpoint),
            credentials=credentials,
        )
        async with self._slots.one(owner.namespace):
            try:
                return await self._fetch(suppliers, source, code.sha256, "s3")
            except FetchFailed as failed:
                said = str(failed)
                words = said if said.startswith("Error occurred") else f"Error occurred while GetObject. {said}"
                raise FetchFailed(failed.trouble, words) from None

    async def _in_config_map(self, owner: CodeOwner, suppliers: Suppliers) -> StoredCode:
        origin = owner.spec.origin
        held = origin.code.config_map_ref
        assert held is not None
        where, reference = f"{origin.field}.configMapRef", Reference("ConfigMap", held.name)
        body = await read(suppliers.objects, owner.namespace, reference, where)
        package = await asyncio.to_thread(
            packaging.from_config_map,
            held.key,
            body.get("data") or {},
            body.get("binaryData") or {},
            (origin.runtime or "") if origin.kind == "Function" else None,
        )
        if package is None:
            raise missing(where, f"key {held.key} of {reference}")
        return await self._store(package)

    async def _as_artifact(self, owner: CodeOwner, suppliers: Suppliers, uri: str) -> StoredCode:
        artifacts = suppliers.artifacts
        if artifacts is None:
            raise InvalidCode(_NOT_OFFERED)
        credentials = await self._registry_credentials(owner, suppliers)
        async with self._slots.one(owner.namespace):
            told = sources.stored(owner.status)
            try:
                if told is not None and told.unzipped and await self._is_still(told, artifacts, uri, credentials):
                    return told
            except Unavailable as error:
                raise StoppedError(Problem(Reason.CODE_UNAVAILABLE, str(error))) from None
            return await self._keep(suppliers, artifacts.fetch(uri, credentials), None, "artifact")

    async def _is_still(
        self, told: StoredCode, artifacts: Artifacts, uri: str, credentials: Sequence[Mapping[str, Any]]
    ) -> bool:
        """Whether a tag has not moved: what a status refers to is not collected, and need not come again."""
        return await artifacts.find(uri, credentials) == told.sha256_hex and await self.has(told.sha256_hex)

    async def _as_image(self, owner: CodeOwner, suppliers: Suppliers) -> ResolvedImage:
        origin = owner.spec.origin
        if suppliers.images is None:
            raise InvalidCode(_NOT_OFFERED)
        credentials = await self._registry_credentials(owner, suppliers)
        try:
            return await suppliers.images.resolve(origin.image_uri or "", origin.architecture, credentials)
        except Unavailable as error:
            raise StoppedError(Problem(Reason.IMAGE_UNAVAILABLE, str(error))) from None

    async def _registry_credentials(self, owner: CodeOwner, suppliers: Suppliers) -> list[Mapping[str, Any]]:
        origin = owner.spec.origin
        credentials = []
        for name in origin.pull_secrets:
            secret = await read(
                suppliers.objects, owner.namespace, Reference("Secret", name), origin.pull_secrets_field
            )
            credentials.append(pull_secret(name, secret, origin.pull_secrets_field))
        return credentials

    # --- what they share ---

    async def _fetch(
        self, suppliers: Suppliers, source: WebAddress | BucketObject, digest: str | None, kind: str
    ) -> StoredCode:
        return await self._keep(suppliers, suppliers.fetcher.fetch(source), digest, kind)

    async def _keep(
        self, suppliers: Suppliers, coming: AbstractAsyncContextManager[Fetched], digest: str | None, kind: str
    ) -> StoredCode:
        """Judge what comes, and store it."""
        try:
            async with coming as came:
                package = await asyncio.to_thread(_judged, came, digest)
                stored = await self._store(package, came.spool.reader())
        except Unavailable as error:
            raise StoppedError(Problem(Reason.CODE_UNAVAILABLE, str(error))) from None
        if suppliers.metrics is not None:
            suppliers.metrics.fetched_bytes.labels(kind).inc(stored.size)
        return stored

    async def _store(self, package: Package, reader: BinaryIO | None = None) -> StoredCode:
        """See that the store has the package; one that is there already is only said to be needed."""
        stored = StoredCode(package.sha256_hex, package.sha256_base64, package.size, unzipped=package.unzipped)
        with self._busy(stored.sha256_hex), reader or io.BytesIO(package.data) as content:
            try:
                # also what is there: only a put makes it young, and a deletion may be on its way (core.collecting)
                await self._codestore.put(self._sign("PUT", stored.sha256_hex), content)
            except Unavailable as error:
                raise _StoreAwayError(stored, str(error)) from None
        return stored

    @contextmanager
    def _busy(self, sha256_hex: str) -> Iterator[None]:
        self._storing[sha256_hex] += 1
        try:
            yield
        finally:
            self._storing[sha256_hex] -= 1
            if not self._storing[sha256_hex]:
                del self._storing[sha256_hex]

    @contextmanager
    def _measured(self, kind: str) -> Iterator[None]:
        started, outcome = time.perf_counter(), "cancelled"
        try:
            yield
            outcome = SUCCESS
        except FetchFailed as failed:
            outcome = failed.trouble.value
            raise
        except StoppedError as stopped:
            outcome = _snake(stopped.problem.reason)
            raise
        except (InvalidCode, InvalidImage):
            outcome = "invalid"
            raise
        finally:
            if self._suppliers is not None and self._suppliers.metrics is not None:
                seconds = time.perf_counter() - started
                self._suppliers.metrics.fetches.labels(kind, outcome).observe(seconds)

    def _sign(self, method: str, sha256_hex: str) -> str:
        return sign_path(self._url_key, method, blob_path(sha256_hex), int(time.time()) + SIGNATURE_SECONDS)


class _StoreAwayError(StoppedError):
    """The code is there, but the store cannot be asked just now."""

    def __init__(self, code: StoredCode, message: str) -> None:
        super().__init__(Problem(Reason.CODE_STORE_UNAVAILABLE, message))
        self.code = code


def _judged(came: Fetched, digest: str | None) -> Package:
    """The package that came, when it is the one that was announced and one that can be unpacked."""
    page = " (it is a web page)" if came.media_type in ("text/html", "application/xhtml+xml") else ""
    if digest is not None and came.spool.sha256_hex != digest:
        raise FetchFailed(
            Trouble.WRONG_DIGEST,
            f"what came has the SHA-256 {came.spool.sha256_hex}, not sha256 {digest}{page}",
        )
    try:
        return packaging.from_archive(came.spool.view())
    except InvalidCode as error:
        raise InvalidCode(f"{error}{page}") from error


def _snake(reason: Reason) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in reason).lstrip("_")


def _was_stored(owner: CodeOwner, code: StoredCode) -> bool:
    stored = any(
        condition.type in (ConditionType.CODE_STORED, ConditionType.CONTENT_STORED) and condition.status == "True"
        for condition in owner.status.conditions
    )
    return stored and owner.status.code_sha256 == code.sha256_base64

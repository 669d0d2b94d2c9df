"""What a client does with registries that redirect, limit, fail, lie or never end."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import time
from email.utils import formatdate

import aiohttp
import pytest
from aiohttp import web
from tests.adapters.registries.conftest import APP, REFUSED_HOST, Desk
from tests.contracts.registries.fake_registry import FakeRegistry, serving
from tests.contracts.registries.image_content import (
    CONFIG,
    LAYER,
    MANIFEST,
    Document,
    Image,
    digest_of,
    encoded,
    index_of,
    manifest_of,
)

from lambent.adapters.registries import client as client_module
from lambent.adapters.registries.client import RegistryClient
from lambent.model.errors import InvalidImage, Unavailable

CONFIG_DIGEST = digest_of(APP.config())


async def test_a_blob_may_lie_at_a_storage_service_that_sees_no_credential(desk: Desk) -> None:
    """Registries of clouds redirect to signed URLs."""
    desk.registry.scheme = "Basic"
    desk.storage.answer("/signed", APP.config())
    desk.registry.answer(
        desk.path("blobs", CONFIG_DIGEST), status=307, Location=f"{desk.storage.url}/signed?sig=canary"
    )
    assert (await desk.resolve(pull_secrets=desk.secrets())).command == ("app.handler",)
    assert [(one.path, one.authorization) for one in desk.storage.seen] == [("/signed?sig=canary", "")]


async def test_a_redirect_within_the_registry_keeps_the_credential(desk: Desk) -> None:
    """Also one that is relative."""
    desk.registry.scheme = "Basic"
    desk.registry.answer("/elsewhere", APP.config())
    desk.registry.answer(desk.path("blobs", CONFIG_DIGEST), status=302, Location="/elsewhere")
    assert await desk.resolve(pull_secrets=desk.secrets())
    assert desk.registry.asked("/elsewhere")[0].authorization.startswith("Basic ")


async def test_a_storage_service_that_wants_a_login_gets_none(desk: Desk) -> None:
    """Its challenge is not the registry's."""
    desk.storage.answer("/signed", status=401, WWW_Authenticate=f'Bearer realm="{desk.storage.url}/token"')
    desk.registry.answer(desk.path("blobs", CONFIG_DIGEST), status=307, Location=f"{desk.storage.url}/signed")
    with pytest.raises(Unavailable, match="does not have permission"):
        await desk.resolve(pull_secrets=desk.secrets())
    assert [one.path for one in desk.storage.seen] == ["/signed"]


@pytest.mark.parametrize(
    ("location", "error", "message"),
    [
        ("/v2/team/app/manifests/v1", Unavailable, "redirects more than 5 times"),
        (f"http://{REFUSED_HOST}:1/", InvalidImage, "it leads to an address that this installation denies"),
        ("http://127.0.0.1:1/", InvalidImage, "points to 127.0.0.1:1 by plain HTTP"),
        ("https://127.0.0.1:1/?sig=canary", Unavailable, "no answer from 127.0.0.1:1: Connection refused"),
        ("ftp://127.0.0.1/", Unavailable, "points to what is no address"),
        ("https://a:b@127.0.0.1/", Unavailable, "points to what is no address"),
        ("//[", Unavailable, "points to what is no address"),
        ("https://" + "a" * 4000 + "/canary", Unavailable, "no answer from a+: "),
    ],
)
async def test_a_redirect_leads_only_where_anything_may_be_asked(
    desk: Desk, location: str, error: type[Exception], message: str
) -> None:
    """At most five times, and no message holds more of it than a host."""
    desk.insecure.add(f"{REFUSED_HOST}:1")
    desk.client = desk.another()
    desk.registry.answer(desk.path("manifests", "v1"), status=307, Location=location)
    with pytest.raises(error, match=message) as caught:
        await desk.resolve()
    assert "canary" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert len(desk.registry.seen) <= 6


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"Retry_After": "30"}, 30.0),
        ({"Retry_After": "999999999999"}, None),
        ({"Retry_After": "86400"}, 3600.0),
        ({"Retry_After": "-1"}, None),
        ({"Retry_After": "soon"}, None),
        ({"Retry_After": formatdate(0)}, 0.0),
        ({"Retry_After": formatdate(time.time() + 86400, usegmt=True)}, 3600.0),
        ({}, None),
    ],
)
async def test_a_registry_that_limits_is_asked_again_when_it_says(
    desk: Desk, header: dict, expected: float | None
) -> None:
    """Seconds or a date; never later than in an hour."""
    desk.registry.answer(desk.path("manifests", "v1"), status=429, **header)
    with pytest.raises(Unavailable, match=r"limits the rate of requests for the source image .* \(429\)") as caught:
        await desk.resolve()
    assert caught.value.retry_after == expected


@pytest.mark.parametrize("status", [500, 502, 503, 504, 400, 405, 204, 301])
async def test_a_registry_that_fails_is_asked_again(desk: Desk, status: int) -> None:
    """And so is one that gives an answer that nobody understands; its own text is not repeated."""
    desk.registry.answer(desk.path("manifests", "v1"), b"" if status == 204 else b"canary", status=status)
    with pytest.raises(Unavailable, match=f"answered {status} for the source image") as caught:
        await desk.resolve()
    assert "canary" not in str(caught.value)


async def test_a_403_is_a_refusal(desk: Desk) -> None:
    """Logging in again would not help."""
    desk.registry.answer(desk.path("manifests", "v1"), status=403)
    with pytest.raises(Unavailable, match="does not have permission"):
        await desk.resolve()
    assert len(desk.registry.seen) == 1


async def test_a_registry_that_hides_what_is_not_yours_is_asked_with_every_credential(desk: Desk) -> None:
    """404 to one, the image to another."""

    async def hiding(request: web.Request) -> web.StreamResponse:
        if not request.headers.get("Authorization"):
            return web.Response(status=401, headers={"WWW-Authenticate": "Basic realm=x"})
        if "d3Jvbmc" in request.headers["Authorization"]:  # wrong
            return web.Response(status=404)
        return web.Response(body=APP.manifest().content, headers={"Content-Type": MANIFEST})

    desk.registry.answers[desk.path("manifests", "v1")] = hiding
    wrong = desk.secrets(username="wrong", password="x")
    assert await desk.resolve(pull_secrets=wrong + desk.secrets())
    with pytest.raises(Unavailable, match=r"does not exist. Provide a valid source image."):
        await desk.resolve(pull_secrets=wrong)


# Lies


async def test_bytes_of_another_digest_are_not_believed(desk: Desk) -> None:
    """Of a manifest by digest, of one that a header announces, of a manifest of an index, of a configuration."""
    other = Image({"Cmd": ["evil"]})
    manifest = APP.manifest()
    lies = [
        (
            manifest,
            f"{desk.registry.place}/team/app@{manifest.digest}",
            "manifests",
            manifest.digest,
            other.manifest().content,
        ),
        (index_of(("linux/amd64", manifest)), desk.uri, "manifests", manifest.digest, other.manifest().content),
        (manifest, desk.uri, "blobs", CONFIG_DIGEST, other.config()),
    ]
    for pushed, uri, kind, name, lie in lies:
        desk.registry.answers.clear()
        await desk.push(pushed)
        assert (await desk.resolve(uri)).command == ("app.handler",)
        desk.registry.answer(desk.path(kind, name), lie, Content_Type=MANIFEST)
        with pytest.raises(Unavailable, match="with bytes of another digest"):
            await desk.resolve(uri)


async def test_a_tag_that_comes_with_another_digest_than_it_says_is_not_believed(desk: Desk) -> None:
    """Something on the way has changed it, or is broken."""
    for header, believed in ((digest_of(b""), False), (APP.manifest().digest, True), ("sha512:abc", True)):
        desk.registry.answer(
            desk.path("manifests", "v1"), APP.manifest().content, Content_Type=MANIFEST, Docker_Content_Digest=header
        )
        if believed:
            assert await desk.resolve()
        else:
            with pytest.raises(Unavailable, match="with bytes of another digest"):
                await desk.resolve()


async def test_an_index_under_the_digest_of_a_manifest_is_not_followed(desk: Desk) -> None:
    """Whatever the entry says of itself: an index in an index is refused."""
    inner = index_of(("linux/amd64", APP.manifest()))
    outer = index_of(("linux/amd64", Document(MANIFEST, inner.content, parts=inner.parts)))
    await desk.push(Document(outer.media_type, outer.content, parts=(inner,)))
    with pytest.raises(InvalidImage, match="is not supported"):
        await desk.resolve()


async def test_an_image_with_a_part_missing_says_which(desk: Desk) -> None:
    """A copy of half an index, or a registry that collected too much."""
    index = index_of(("linux/amd64", APP.manifest()))
    for document, missing in ((APP.manifest(), CONFIG_DIGEST), (index, APP.manifest().digest)):
        await desk.push(document)
        desk.registry.answer(desk.path("blobs" if document is not index else "manifests", missing), status=404)
        with pytest.raises(Unavailable, match=f"is not complete: its registry has no {missing}"):
            await desk.resolve()


@pytest.mark.parametrize("kind", ["config", "manifest"])
async def test_a_part_that_is_announced_too_large_is_not_asked_for(desk: Desk, kind: str) -> None:
    """A megabyte is many times what any real one has."""
    fields = {"digest": digest_of(b""), "size": 2**20 + 1}
    if kind == "config":
        content = {"schemaVersion": 2, "config": {"mediaType": CONFIG, **fields}, "layers": []}
    else:
        entry = {"mediaType": MANIFEST, "platform": {"os": "linux", "architecture": "amd64"}, **fields}
        content = {"schemaVersion": 2, "manifests": [entry]}
    desk.registry.answer(desk.path("manifests", "v1"), encoded(content))
    with pytest.raises(InvalidImage, match="of 1048577 bytes; 1048576 are taken"):
        await desk.resolve()
    assert len(desk.registry.seen) == 1


async def test_the_first_schema_is_refused(desk: Desk) -> None:
    """Also when a registry serves it whatever is accepted."""
    said = {"schemaVersion": 1, "name": "team/app", "tag": "v1", "fsLayers": [], "history": []}
    signed = "application/vnd.docker.distribution.manifest.v1+prettyjws"
    desk.registry.answer(desk.path("manifests", "v1"), encoded(said), Content_Type=signed)
    with pytest.raises(InvalidImage, match="is not supported"):
        await desk.resolve()


async def test_an_image_over_ten_gibibytes_is_refused_before_its_configuration_is_read(desk: Desk) -> None:
    """Nothing of it is fetched."""
    document = manifest_of((MANIFEST, CONFIG, LAYER), APP.config(), ())
    large = [{"mediaType": LAYER, "digest": digest_of(b""), "size": 6 * 1024**3}] * 2
    content = encoded(
        {"schemaVersion": 2, "config": {"mediaType": CONFIG, "digest": CONFIG_DIGEST, "size": 1}, "layers": large}
    )
    desk.registry.answer(desk.path("manifests", "v1"), content, Content_Type=document.media_type)
    with pytest.raises(InvalidImage, match="Uncompressed container image size exceeds 10 GiB limit"):
        await desk.resolve()
    assert len(desk.registry.seen) == 1


async def test_a_compressed_answer_is_not_unpacked(desk: Desk) -> None:
    """Nobody asked for it: it may be a bomb."""
    desk.registry.answer(desk.path("manifests", "v1"), gzip.compress(b" " * 10_000_000), Content_Encoding="gzip")
    with pytest.raises(Unavailable, match="answers in an encoding that it was not asked for"):
        await desk.resolve()


# Who is dialled, and how


async def test_nothing_but_https_is_spoken_where_the_installation_does_not_say_so(desk: Desk) -> None:
    """And the message says what to do about it."""
    client = RegistryClient(desk.session)
    with pytest.raises(Unavailable, match="does not speak TLS as it should; a registry without TLS has to be named"):
        await client.resolve(desk.uri, "x86_64")
    assert desk.registry.seen == []


async def test_a_registry_at_a_refused_address_is_not_asked(desk: Desk) -> None:
    """Lambent's controller reaches more than a tenant may."""
    with pytest.raises(InvalidImage, match="cannot be asked: it leads to an address that this installation denies"):
        await desk.resolve(f"{REFUSED_HOST}:5000/app")


async def test_a_registry_that_cannot_be_found_or_reached_is_asked_again(desk: Desk) -> None:
    """It may be restarting, or its name be new."""
    for uri, why in (
        ("registry.invalid/app", "no answer from registry.invalid: its name cannot be resolved"),
        ("127.0.0.1:1/app", "no answer from 127.0.0.1:1: Connection refused"),
    ):
        with pytest.raises(Unavailable, match=why):
            await desk.resolve(uri)


async def test_a_certificate_has_to_be_trusted(
    desk: Desk, trusting: aiohttp.ClientSession, server_tls: ssl.SSLContext
) -> None:
    """By whom the installation trusts; insecure means plain HTTP, not any certificate."""
    async with serving(FakeRegistry(), tls=server_tls) as registry:
        registry.blobs, registry.manifests = desk.registry.blobs, desk.registry.manifests
        uri = f"{registry.place}/team/app:v1"
        with pytest.raises(Unavailable, match=r"its certificate is not trusted .self-signed certificate"):
            await desk.resolve(uri)
        assert registry.seen == []
        assert await RegistryClient(trusting).resolve(uri, "x86_64")


async def test_https_does_not_lead_to_plain_http(
    desk: Desk, trusting: aiohttp.ClientSession, server_tls: ssl.SSLContext
) -> None:
    """Unless the installation names that server."""
    desk.storage.answer("/config", APP.config())
    async with serving(FakeRegistry(), tls=server_tls) as registry:
        registry.blobs, registry.manifests = desk.registry.blobs, desk.registry.manifests
        registry.answer(desk.path("blobs", CONFIG_DIGEST), status=307, Location=f"{desk.storage.url}/config")
        uri = f"{registry.place}/team/app:v1"
        with pytest.raises(InvalidImage, match="by plain HTTP"):
            await RegistryClient(trusting).resolve(uri, "x86_64")
        assert await RegistryClient(trusting, frozenset({desk.storage.place})).resolve(uri, "x86_64")


# Together


async def test_who_asks_the_same_at_the_same_time_shares_one_answer(desk: Desk) -> None:
    """Only with the same credentials, and for the same architecture."""
    found = await asyncio.gather(*(desk.resolve() for _ in range(20)))
    assert len(set(found)) == 1
    assert len(desk.registry.asked("/manifests/")) == 1
    await asyncio.gather(desk.resolve(), desk.resolve(pull_secrets=desk.secrets()))
    assert len(desk.registry.asked("/manifests/")) == 3
    await desk.resolve()
    assert len(desk.registry.asked("/manifests/")) == 4  # a tag is asked for anew each time


async def test_a_failure_is_shared_and_forgotten(desk: Desk) -> None:
    """The next to ask asks anew."""
    desk.registry.answer(desk.path("manifests", "v1"), status=503)
    outcomes = await asyncio.gather(desk.resolve(), desk.resolve(), return_exceptions=True)
    assert [type(one) for one in outcomes] == [Unavailable] * 2
    assert len(desk.registry.seen) == 1
    desk.registry.answers.clear()
    assert await desk.resolve()


async def test_who_gives_up_does_not_take_the_answer_from_the_others(desk: Desk) -> None:
    """The last one to give up ends the asking."""
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(_request: web.Request) -> web.StreamResponse:
        arrived.set()
        await go_on.wait()
        return web.Response(body=APP.manifest().content, headers={"Content-Type": MANIFEST})

    desk.registry.answers[desk.path("manifests", "v1")] = slowly
    first, second = asyncio.create_task(desk.resolve()), asyncio.create_task(desk.resolve())
    await arrived.wait()
    first.cancel()
    await asyncio.wait([first])
    go_on.set()
    assert await second

    go_on.clear()
    arrived.clear()
    alone = asyncio.create_task(desk.resolve())
    await arrived.wait()
    alone.cancel()
    await asyncio.wait([alone])
    assert desk.client._flights == {}
    go_on.set()
    assert await desk.resolve()


async def test_a_slow_registry_keeps_only_its_own_images_waiting(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight at a time are asked of one registry; the others have their turns."""
    waiting, go_on = 0, asyncio.Event()

    async def slowly(_request: web.Request) -> web.StreamResponse:
        nonlocal waiting
        waiting += 1
        await go_on.wait()
        return web.Response(status=404)

    for number in range(20):
        desk.storage.answers[f"/v2/team/app/manifests/{number}"] = slowly
    slow = [asyncio.create_task(desk.resolve(f"{desk.storage.place}/team/app:{number}")) for number in range(20)]
    while waiting < client_module.RESOLVES_PER_REGISTRY_MAX:
        await asyncio.sleep(0.01)
    assert await desk.resolve()
    assert waiting == client_module.RESOLVES_PER_REGISTRY_MAX
    go_on.set()
    outcomes = await asyncio.gather(*slow, return_exceptions=True)
    assert {str(one)[-46:] for one in outcomes} == {" does not exist. Provide a valid source image."}
    assert waiting == 20


async def test_no_error_or_its_traceback_holds_a_credential(desk: Desk) -> None:
    """Whatever goes wrong, and whatever a registry echoes."""
    desk.registry.scheme = "Bearer"
    secrets = desk.secrets(username="canary-user", password="canary-word")

    async def echo(request: web.Request) -> web.StreamResponse:
        said = request.headers.get("Authorization", "")
        return web.json_response({"errors": [{"message": said}], "token": said}, status=500, reason=said or "No")

    for path in ("/token", desk.path("manifests", "v1")):
        desk.registry.answers[path] = echo
        with pytest.raises(Unavailable) as caught:
            await desk.resolve(pull_secrets=secrets)
        error: BaseException | None = caught.value
        while error is not None:
            assert "canary" not in repr(error)
            assert "Y2FuYXJ5" not in repr(error)  # canary in base64
            error = error.__cause__ or error.__context__

"""Whose word counts at a registry: the entries of pull secrets that fit an image, chosen as the kubelet chooses them.

What is resolved here has to be pulled by nodes afterwards, so the kubelet's rules are kept even where they are odd: a
path is a prefix of characters, `*` stands for one label of a host at most, the most specific entry comes first, and
without a fitting entry nobody is named. An entry that cannot be read is left out alone.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from lambent.model.images import DEFAULT_REGISTRY, ImageReference

_DEFAULT_KEY = f"index.{DEFAULT_REGISTRY}"
_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Credential:
    """A user and a password, or a token to get tokens with; both are secrets and in no text of this object."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    def basic(self) -> str | None:
        """The value of an `Authorization` header of the Basic scheme."""
        if not self.username and not self.password:
            return None
        pair = f"{self.username}:{self.password}".encode("utf-8", "surrogatepass")
        return f"Basic {base64.b64encode(pair).decode()}"


ANONYMOUS = Credential()


def matching(reference: ImageReference, pull_secrets: Iterable[Mapping[str, Any]]) -> tuple[Credential, ...]:
    """The credentials to try for an image, most specific first, each once.

    Each of `pull_secrets` is the decoded document of a Secret: `.dockerconfigjson` (entries under `auths`) or the older
    `.dockercfg` (the entries themselves).
    """
    entries = [(key, entry) for secret in pull_secrets for key, entry in _entries(secret)]
    entries.sort(key=lambda one: one[0], reverse=True)  # stable: of one key, the earlier secret comes first
    fitting = [entry for key, entry in entries if _fits(key, reference)]
    if not fitting and reference.registry == DEFAULT_REGISTRY:
        fitting = [entry for key, entry in entries if key == _DEFAULT_KEY]
    credentials = (credential for entry in fitting if (credential := _credential(entry)))
    return tuple(dict.fromkeys(credentials))


def _entries(secret: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    listed = secret.get("auths", secret)
    if not isinstance(listed, Mapping):
        return
    for place, entry in listed.items():
        key = _key(place)
        if key and isinstance(entry, Mapping):
            yield key, entry


def _key(place: str) -> str:
    """Host and path of an entry's name. The API versions /v1/ and /v2/ mean the whole host."""
    host, slash, path = place.removeprefix("https://").removeprefix("http://").partition("/")
    path = slash + path
    if path.startswith(("/v1/", "/v2/")):
        path = path[3:]
    return host.lower() + (path if path != "/" else "")


def _fits(key: str, reference: ImageReference) -> bool:
    host, slash, path = key.partition("/")
    return _host_fits(host, reference.registry) and f"/{reference.repository}".startswith(slash + path)


def _host_fits(pattern: str, registry: str) -> bool:
    (wanted, wanted_port), (host, port) = _split(pattern), _split(registry)
    return wanted_port == port and len(wanted) == len(host) and all(map(_label_fits, wanted, host))


def _split(host: str) -> tuple[Sequence[str], str]:
    name, _, port = host.partition(":")
    return name.split("."), port


def _label_fits(pattern: str, label: str) -> bool:
    if _WILD.isdisjoint(pattern):
        return pattern == label
    return fnmatchcase(label, pattern.replace("[^", "[!"))  # Go spells a negated class so


def _credential(entry: Mapping[str, Any]) -> Credential | None:
    """What an entry says; `auth` wins over username and password, as it does for the kubelet."""
    username, password = entry.get("username") or "", entry.get("password") or ""
    token, packed = entry.get("identitytoken") or "", entry.get("auth") or ""
    if not all(isinstance(one, str) for one in (username, password, token, packed)):
        return None
    if packed:
        try:
            username, colon, password = base64.b64decode(packed, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        if not colon:
            return None
    credential = Credential(username, password.rstrip("\0"), token)
    return credential if credential != ANONYMOUS else None

"""kubeconfig files: which cluster, and who we are to it. Parsed once, into what `connections` needs.

As kubectl reads them: `--kubeconfig`, else every file that KUBECONFIG names (the first word on a name wins), else
`~/.kube/config`, else the service account of the pod we run in. Paths in a file are relative to it.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .outcomes import CommandFailed, ExitCode

POD_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """Where an API server is and how it proves that it is the one."""

    server: str
    authority: bytes | None = None
    """PEM; the system's authorities when None."""
    insecure: bool = False
    server_name: str | None = None
    proxy: str | None = None


@dataclass(frozen=True, slots=True)
class Plugin:
    """A command that knows credentials (`user.exec`)."""

    command: str
    arguments: tuple[str, ...]
    variables: tuple[tuple[str, str], ...]
    api_version: str
    provide_cluster: bool
    install_hint: str


@dataclass(frozen=True, slots=True)
class UserFacts:
    """How we prove who we are; secrets are kept out of its repr."""

    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    plugin: Plugin | None = None
    impersonate: tuple[tuple[str, str], ...] = ()
    """Header fields."""

    @property
    def is_renewable(self) -> bool:
        """Whether asking again may give another token."""
        return self.plugin is not None or self.token_file is not None


@dataclass(frozen=True, slots=True)
class Context:
    """One way to use a cluster."""

    name: str
    cluster: ClusterFacts
    user: UserFacts
    namespace: str | None = None


def load(path: str | None = None, context: str | None = None) -> Context:
    """The context that was asked for, else the current one.

    Raises:
        CommandFailed: no cluster is configured, the context is not there, a file cannot be read.
    """
    files = _files(path)
    if not files:
        if "KUBERNETES_SERVICE_HOST" in os.environ and context is None:
            return _of_pod()
        raise CommandFailed(
            ExitCode.UNREACHABLE,
            "no cluster is configured: there is no kubeconfig",
            "give one with --kubeconfig or KUBECONFIG, or the gateway's own address with --endpoint-url",
        )
    return _choose(_merge(files), context, files)


def context_names(path: str | None = None) -> list[str]:
    """Every context there is, for the shell's completion."""
    return [name for name in _merge(_files(path))["contexts"] if name]


def _files(path: str | None) -> list[Path]:
    if path:
        return [Path(path).expanduser()]
    listed = [Path(each).expanduser() for each in os.environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    home = Path("~/.kube/config").expanduser()
    if len(listed) == 1:  # a typing error in it should not go unnoticed
        return listed
    return [each for each in listed or [home] if each.exists()]


def _merge(files: Sequence[Path]) -> dict[str, Any]:
    merged: dict[str, Any] = {"clusters": {}, "users": {}, "contexts": {}, "current": ""}
    for path in files:
        body = _read(path)
        merged["current"] = merged["current"] or _text(body, "current-context") or ""
        for kind, inner in (("clusters", "cluster"), ("users", "user"), ("contexts", "context")):
            for entry in body.get(kind) or []:
                if isinstance(entry, dict) and isinstance(entry.get(inner) or {}, dict):
                    merged[kind].setdefault(str(entry.get("name")), (entry.get(inner) or {}, path.parent))
    return merged


def _read(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CommandFailed(ExitCode.UNREACHABLE, f"kubeconfig {path}: {error.strerror}") from error
    except ValueError as error:
        raise _malformed(path, "it is not UTF-8") from error
    try:
        body = json.loads(text) if text.lstrip().startswith("{") else _yaml(text)
    except ValueError as error:
        raise _malformed(path, "it is neither YAML nor JSON") from error
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise _malformed(path, "it is not a Config")
    return body


def _yaml(text: str) -> Any:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader, the quick one where it is built
    except yaml.YAMLError as error:
        raise ValueError("not YAML") from error  # its text quotes the file, secrets included


def _malformed(path: Path, why: str) -> CommandFailed:
    return CommandFailed(ExitCode.USAGE, f"kubeconfig {path}: {why}")


def _choose(merged: Mapping[str, Any], asked: str | None, files: Sequence[Path]) -> Context:
    name = asked or merged["current"]
    if name not in merged["contexts"]:
        known = ", ".join(sorted(merged["contexts"])) or "none"
        what = f"has no context {name!r}" if name else "names no current context"
        paths = ", ".join(map(str, files))
        raise CommandFailed(ExitCode.USAGE, f"kubeconfig {paths} {what} (contexts: {known})")
    facts, _ = merged["contexts"][name]
    clusters, users = merged["clusters"], merged["users"]
    if _text(facts, "cluster") not in clusters:
        raise CommandFailed(ExitCode.USAGE, f"context {name!r} names a cluster that the kubeconfig does not have")
    cluster, folder = clusters[_text(facts, "cluster")]
    user, home = users.get(_text(facts, "user"), ({}, folder))
    return Context(name, _cluster(cluster, folder), _user(user, home), _text(facts, "namespace"))


def _cluster(facts: Mapping[str, Any], folder: Path) -> ClusterFacts:
    server = _text(facts, "server")
    if not server:
        raise CommandFailed(ExitCode.USAGE, "the kubeconfig's cluster has no server")
    return ClusterFacts(
        server=server if "://" in server else f"https://{server}",
        authority=_bytes(facts, "certificate-authority", folder),
        insecure=facts.get("insecure-skip-tls-verify") is True,
        server_name=_text(facts, "tls-server-name"),
        proxy=_text(facts, "proxy-url"),
    )


def _user(facts: Mapping[str, Any], folder: Path) -> UserFacts:
    token_file = _text(facts, "tokenFile")
    impersonate = [("Impersonate-User", name)] if (name := _text(facts, "as")) else []
    impersonate += [("Impersonate-Group", str(group)) for group in facts.get("as-groups") or []]
    return UserFacts(
        token=_text(facts, "token"),
        token_file=folder / token_file if token_file else None,
        certificate=_bytes(facts, "client-certificate", folder),
        key=_bytes(facts, "client-key", folder),
        username=_text(facts, "username"),
        password=_text(facts, "password"),
        plugin=_plugin(facts["exec"], folder) if isinstance(facts.get("exec"), dict) else None,
        impersonate=tuple(impersonate),
    )


def _plugin(facts: Mapping[str, Any], folder: Path) -> Plugin:
    command = _text(facts, "command") or ""
    if "/" in command:  # relative to the file; a bare name is looked up in PATH
        command = str(folder / command)
    return Plugin(
        command=command,
        arguments=tuple(map(str, facts.get("args") or [])),
        variables=tuple((str(each["name"]), str(each["value"])) for each in facts.get("env") or []),
        api_version=_text(facts, "apiVersion") or "client.authentication.k8s.io/v1",
        provide_cluster=facts.get("provideClusterInfo") is True,
        install_hint=_text(facts, "installHint") or "",
    )


def _text(facts: Mapping[str, Any], key: str) -> str | None:
    value = facts.get(key)
    return str(value) if value not in (None, "") else None


def _bytes(facts: Mapping[str, Any], key: str, folder: Path) -> bytes | None:
    """The content of `<key>-data` (base64), else of the file that `<key>` names."""
    data = _text(facts, f"{key}-data")
    try:
        if data:
            return base64.b64decode(data, validate=True)
        name = _text(facts, key)
        return (folder / name).read_bytes() if name else None
    except (binascii.Error, OSError) as error:
        raise CommandFailed(ExitCode.USAGE, f"the kubeconfig's {key} cannot be read") from error


def _of_pod() -> Context:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    host = f"[{host}]" if ":" in host else host
    try:
        cluster = ClusterFacts(f"https://{host}:{port}", (POD_ACCOUNT / "ca.crt").read_bytes())
        namespace = (POD_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    except OSError as error:
        message = "no cluster is configured: no kubeconfig, and this pod has no service-account token"
        raise CommandFailed(ExitCode.UNREACHABLE, message) from error
    return Context("in-cluster", cluster, UserFacts(token_file=POD_ACCOUNT / "token"), namespace)

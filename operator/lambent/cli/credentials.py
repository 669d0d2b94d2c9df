"""What a kubeconfig's user can show: a token (static, from a file, from a plugin) or a client certificate.

Plugins are spoken to as client-go does (`client.authentication.k8s.io`), once per command.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

from .kubeconfigs import ClusterFacts, Plugin, UserFacts
from .outcomes import CommandFailed, ExitCode


@dataclass(frozen=True, slots=True)
class Credential:
    """What is shown to the API server; any part may be missing."""

    token: str | None = field(default=None, repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)


def obtain(user: UserFacts, cluster: ClusterFacts) -> Credential:
    """The user's credential; a token file wins over a token, as in client-go.

    Raises:
        CommandFailed: a file cannot be read, a plugin failed.
    """
    if user.plugin is not None:
        found = _ask(user.plugin, cluster)
        return Credential(found.token or user.token, found.certificate or user.certificate, found.key or user.key)
    token = user.token
    if user.token_file is not None:
        try:
            token = user.token_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            message = f"the token file {user.token_file}: {error.strerror}"
            raise CommandFailed(ExitCode.DENIED, message) from error
    return Credential(token, user.certificate, user.key)


def _ask(plugin: Plugin, cluster: ClusterFacts) -> Credential:
    environment = {**os.environ, **dict(plugin.variables), "KUBERNETES_EXEC_INFO": json.dumps(_info(plugin, cluster))}
    failed = f"the kubeconfig's credential plugin {plugin.command!r} failed"
    try:
        done = subprocess.run(
            [plugin.command, *plugin.arguments], env=environment, stdin=_stdin(), stdout=subprocess.PIPE, check=False
        )
    except OSError as error:
        raise CommandFailed(ExitCode.DENIED, f"{failed}: {error.strerror}", plugin.install_hint) from error
    if done.returncode:
        raise CommandFailed(ExitCode.DENIED, f"{failed}: it ended with {done.returncode}", plugin.install_hint)
    try:
        status = json.loads(done.stdout)["status"]
        certificate, key = status.get("clientCertificateData"), status.get("clientKeyData")
        return Credential(
            status.get("token"), certificate.encode() if certificate else None, key.encode() if key else None
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CommandFailed(ExitCode.DENIED, f"{failed}: it printed no ExecCredential") from error


def _info(plugin: Plugin, cluster: ClusterFacts) -> dict[str, Any]:
    spec: dict[str, Any] = {"interactive": sys.stdin.isatty()}
    if plugin.provide_cluster:
        spec["cluster"] = {"server": cluster.server, "insecure-skip-tls-verify": cluster.insecure}
    return {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}


def _stdin() -> int | None:
    """The person's terminal; never a pipe, whose bytes are the payload."""
    return None if sys.stdin.isatty() else subprocess.DEVNULL

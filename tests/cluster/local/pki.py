"""The cluster's own certificates, by openssl: real ones, so that authorization is the real one too.

A certificate's common name is the user, its organization the group that Kubernetes' RBAC knows. They live
as long as the node's state does.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

from .network import API_SERVICE, NODE_ADDRESS
from .talking import ask

NODE_NAME = "lambent"
DAYS = "3650"
SERVER = f"https://{NODE_ADDRESS}:6443"
SERVER_NAMES = ",".join(
    [
        "DNS:kubernetes",
        "DNS:kubernetes.default",
        "DNS:kubernetes.default.svc",
        "DNS:kubernetes.default.svc.cluster.local",
        "DNS:localhost",
        f"IP:{API_SERVICE}",
        f"IP:{NODE_ADDRESS}",
        "IP:127.0.0.1",
    ]
)


@dataclass(frozen=True)
class Identity:
    """Somebody who talks to the API server (or is it); `authority` says who vouches for them."""

    file: str
    user: str
    group: str = ""
    names: str = ""
    authority: str = "ca"


IDENTITIES = (
    Identity("kube-apiserver", "kube-apiserver", names=SERVER_NAMES),
    Identity("admin", "kubernetes-admin", "system:masters"),
    Identity("apiserver-to-kubelet", "apiserver-kubelet-client", "system:masters"),
    Identity("kube-controller-manager", "system:kube-controller-manager"),
    Identity("kube-scheduler", "system:kube-scheduler"),
    Identity("kube-proxy", "system:kube-proxy"),
    Identity("kubelet", f"system:node:{NODE_NAME}", "system:nodes"),
    Identity("coredns", "lambent:coredns"),
    Identity("volumes", "lambent:volumes"),
    # The API server itself, in front of servers that extend it. An authority of its own: whoever it
    # vouches for may name any user.
    Identity("front-proxy", "front-proxy-client", authority="front-proxy-ca"),
)
NO_CLIENTS = ("kube-apiserver", "apiserver-to-kubelet", "front-proxy")  # of the API server by kubeconfig
WITH_KUBECONFIG = tuple(identity.file for identity in IDENTITIES if identity.file not in NO_CLIENTS)


def make(folder: Path) -> None:
    """Make what is missing in `folder`: the authority, every identity, the key that signs account tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    curve: list[str | Path] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for authority in sorted({identity.authority for identity in IDENTITIES}):
        key, crt = folder / f"{authority}.key", folder / f"{authority}.crt"
        if not crt.exists():
            subject: list[str | Path] = ["-subj", f"/CN=lambent-{authority}", "-days", DAYS]
            ask(["openssl", "req", "-x509", *curve, *subject, "-keyout", key, "-out", crt])
    if not (folder / "sa.key").exists():
        ask(["openssl", "genrsa", "-out", folder / "sa.key", "2048"])  # RS256: what token reviewers expect
    for identity in IDENTITIES:
        if not (folder / f"{identity.file}.crt").exists():
            sign(folder, identity, curve)
    for name in WITH_KUBECONFIG:
        (folder / f"{name}.kubeconfig").write_text(kubeconfig(folder, name))
        (folder / f"{name}.kubeconfig").chmod(0o600)


def sign(folder: Path, identity: Identity, curve: list[str | Path]) -> None:
    """A key and a certificate of the authority for one identity."""
    key, request, crt = (folder / f"{identity.file}.{end}" for end in ("key", "csr", "crt"))
    group = f"/O={identity.group}" if identity.group else ""
    ask(
        [
            "openssl",
            "req",
            "-new",
            *curve,
            "-subj",
            f"{group}/CN={identity.user}",
            "-keyout",
            key,
            "-out",
            request,
        ]
    )
    use = "serverAuth" if identity.names else "clientAuth"
    extensions = folder / f"{identity.file}.ext"
    names = f"subjectAltName={identity.names}\n" if identity.names else ""
    extensions.write_text(f"{names}extendedKeyUsage={use}\n")
    authority: list[str | Path] = [
        "-CA",
        folder / "ca.crt",
        "-CAkey",
        folder / "ca.key",
        "-CAcreateserial",
        "-days",
        DAYS,
    ]
    ask(["openssl", "x509", "-req", "-in", request, *authority, "-extfile", extensions, "-out", crt])
    request.unlink()
    extensions.unlink()


def kubeconfig(folder: Path, name: str) -> str:
    """A kubeconfig (JSON, which is YAML) that carries its certificates in itself."""

    def embedded(file: str) -> str:
        return base64.b64encode((folder / file).read_bytes()).decode()

    cluster = {"server": SERVER, "certificate-authority-data": embedded("ca.crt")}
    user = {"client-certificate-data": embedded(f"{name}.crt"), "client-key-data": embedded(f"{name}.key")}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NODE_NAME, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": NODE_NAME, "context": {"cluster": NODE_NAME, "user": name}}],
        "current-context": NODE_NAME,
    }
    return json.dumps(content, indent=1)

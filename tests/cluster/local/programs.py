"""The node's processes: what each is called with, and how one sees that it serves.

The order of `programs` is the order of starting; `down` stops by its own order (see tearing_down).
"""

from __future__ import annotations

import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .binaries import Binaries
from .network import NODE_ADDRESS, SERVICE_CIDR
from .pki import NODE_NAME, SERVER
from .state import State

ETCD = "http://127.0.0.1:24790"
ETCD_PEER = "http://127.0.0.1:24800"
ISSUER = "https://kubernetes.default.svc.cluster.local"


@dataclass(frozen=True)
class Program:
    """One process. `stage` groups those that may start at the same time; `ready` is asked until true,
    and before the start: somebody else who answers there already is a conflict, not a success."""

    name: str
    stage: int
    argv: tuple[str, ...]
    ready: Callable[[], bool] | None = None


def answers(url: str, state: State | None = None) -> bool:
    """Whether a GET of a health endpoint is answered with success."""
    context = None
    if state is not None:
        authority = state.node / "pki/ca.crt"
        if not authority.exists():
            return False
        context = ssl.create_default_context(cafile=str(authority))
    # No proxy: an HTTPS_PROXY of the environment must not hear about addresses inside the machine.
    handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)]
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def accepts(socket_path: Path) -> bool:
    """Whether somebody listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        return client.connect_ex(str(socket_path)) == 0


def apiserver(state: State, binaries: Binaries) -> tuple[str, ...]:
    pki = state.node / "pki"
    flags = {
        "etcd-servers": ETCD,
        "bind-address": NODE_ADDRESS,  # never beyond the machine
        "advertise-address": NODE_ADDRESS,
        "secure-port": "6443",
        "tls-cert-file": f"{pki}/kube-apiserver.crt",
        "tls-private-key-file": f"{pki}/kube-apiserver.key",
        "client-ca-file": f"{pki}/ca.crt",
        "kubelet-client-certificate": f"{pki}/apiserver-to-kubelet.crt",
        "kubelet-client-key": f"{pki}/apiserver-to-kubelet.key",
        "kubelet-preferred-address-types": "InternalIP",  # the node's name resolves nowhere
        "requestheader-client-ca-file": f"{pki}/front-proxy-ca.crt",
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": f"{pki}/front-proxy.crt",
        "proxy-client-key-file": f"{pki}/front-proxy.key",
        "service-account-issuer": ISSUER,
        "service-account-key-file": f"{pki}/sa.key",
        "service-account-signing-key-file": f"{pki}/sa.key",
        "service-cluster-ip-range": SERVICE_CIDR,
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "allow-privileged": "true",
        "audit-policy-file": f"{state.node}/audit-policy.json",
        "audit-log-path": str(state.audit_log),
        "audit-log-maxsize": "200",
        "audit-log-maxbackup": "2",
    }
    return (binaries.node, "kube-apiserver", *(f"--{name}={value}" for name, value in flags.items()))


def controllers(state: State, binaries: Binaries) -> tuple[str, ...]:
    pki = state.node / "pki"
    own = f"{pki}/kube-controller-manager.kubeconfig"
    flags = {
        "kubeconfig": own,
        "authentication-kubeconfig": own,
        "authorization-kubeconfig": own,
        "bind-address": "127.0.0.1",
        "leader-elect": "false",
        "service-account-private-key-file": f"{pki}/sa.key",
        "root-ca-file": f"{pki}/ca.crt",
        "cluster-signing-cert-file": f"{pki}/ca.crt",
        "cluster-signing-key-file": f"{pki}/ca.key",
        "use-service-account-credentials": "true",  # the audit log then tells the controllers apart
        "allocate-node-cidrs": "false",
        # One node and nobody to move its pods to: a busy machine must not get its node tainted at once.
        "node-monitor-grace-period": "120s",
    }
    return (binaries.node, "kube-controller-manager", *(f"--{name}={value}" for name, value in flags.items()))


def programs(state: State, binaries: Binaries) -> tuple[Program, ...]:
    """All processes in the order of starting."""
    pki, node = state.node / "pki", binaries.node
    scheduler = f"{pki}/kube-scheduler.kubeconfig"
    folders = (f"--root={state.node}/volumes", f"--node={NODE_NAME}")
    return (
        Program(
            "containerd",
            0,
            ("containerd", "--config", f"{state.node}/containerd.toml"),
            lambda: accepts(state.containerd_socket),
        ),
        Program(
            "etcd",
            0,
            (node, "etcd", "-data-dir", f"{state.node}/etcd", "-client", ETCD, "-peer", ETCD_PEER),
            lambda: answers(f"{ETCD}/health"),
        ),
        Program("kube-apiserver", 1, apiserver(state, binaries), lambda: answers(f"{SERVER}/readyz", state)),
        Program("kube-controller-manager", 2, controllers(state, binaries)),
        Program(
            "kube-scheduler",
            2,
            (
                *(
                    node,
                    "kube-scheduler",
                    f"--kubeconfig={scheduler}",
                    f"--authentication-kubeconfig={scheduler}",
                ),
                *(
                    f"--authorization-kubeconfig={scheduler}",
                    "--leader-elect=false",
                    "--bind-address=127.0.0.1",
                ),
            ),
        ),
        Program(
            "kubelet",
            2,
            (
                *(node, "kubelet", f"--config={state.node}/kubelet.json", f"--root-dir={state.node}/kubelet"),
                *(f"--kubeconfig={pki}/kubelet.kubeconfig", f"--hostname-override={NODE_NAME}"),
                f"--node-ip={NODE_ADDRESS}",
            ),
            lambda: answers("http://127.0.0.1:10248/healthz"),
        ),
        Program("kube-proxy", 2, (node, "kube-proxy", f"--config={state.node}/kube-proxy.json")),
        Program("coredns", 2, (binaries.coredns, "-conf", f"{state.node}/Corefile")),
        Program("volumes", 2, (node, "volumes", f"-kubeconfig={pki}/volumes.kubeconfig", *folders)),
    )

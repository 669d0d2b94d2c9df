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


def flagged(program: str, name: str, flags: dict[str, str]) -> tuple[str, ...]:
    """A command line of one of the programs in lambent-node."""
    return (program, name, *(f"--{flag}={value}" for flag, value in flags.items()))


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
    return flagged(binaries.node, "kube-apiserver", flags)


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
    return flagged(binaries.node, "kube-controller-manager", flags)


def scheduler(state: State, binaries: Binaries) -> tuple[str, ...]:
    own = f"{state.node}/pki/kube-scheduler.kubeconfig"
    flags = {
        "kubeconfig": own,
        "authentication-kubeconfig": own,
        "authorization-kubeconfig": own,
        "bind-address": "127.0.0.1",
        "leader-elect": "false",
    }
    return flagged(binaries.node, "kube-scheduler", flags)


def kubelet(state: State, binaries: Binaries) -> tuple[str, ...]:
    flags = {
        "config": f"{state.node}/kubelet.json",
        "root-dir": f"{state.node}/kubelet",
        "kubeconfig": f"{state.node}/pki/kubelet.kubeconfig",
        "hostname-override": NODE_NAME,
        "node-ip": NODE_ADDRESS,
    }
    return flagged(binaries.node, "kubelet", flags)


def programs(state: State, binaries: Binaries) -> tuple[Program, ...]:
    """All processes in the order of starting."""
    here, node = state.node, binaries.node
    containerd = ("containerd", "--config", f"{here}/containerd.toml")
    etcd = (node, "etcd", "-data-dir", f"{here}/etcd", "-client", ETCD, "-peer", ETCD_PEER)
    proxy = flagged(node, "kube-proxy", {"config": f"{here}/kube-proxy.json"})
    coredns = (binaries.coredns, "-conf", f"{here}/Corefile")
    own = f"{here}/pki/volumes.kubeconfig"
    volumes = flagged(node, "volumes", {"kubeconfig": own, "root": f"{here}/volumes", "node": NODE_NAME})
    return (
        Program("containerd", 0, containerd, lambda: accepts(state.containerd_socket)),
        Program("etcd", 0, etcd, lambda: answers(f"{ETCD}/health")),
        Program("kube-apiserver", 1, apiserver(state, binaries), lambda: answers(f"{SERVER}/readyz", state)),
        Program("kube-controller-manager", 2, controllers(state, binaries)),
        Program("kube-scheduler", 2, scheduler(state, binaries)),
        Program("kubelet", 2, kubelet(state, binaries), lambda: answers("http://127.0.0.1:10248/healthz")),
        Program("kube-proxy", 2, proxy),
        Program("coredns", 2, coredns),
        Program("volumes", 2, volumes),
    )

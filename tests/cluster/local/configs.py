"""The configuration files of the node's processes, as values; `write` is the only one that touches disk.

JSON is YAML, so what Kubernetes reads is written with the standard library. Each setting that is not
Kubernetes' default has its reason beside it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .network import CLUSTER_DOMAIN, NODE_ADDRESS, POD_CIDR, cni_config
from .pki import NODE_NAME
from .state import State

PAUSE_IMAGE = "localhost/lambent/pause:1"


def containerd(state: State) -> str:
    """containerd 1.6's configuration; SystemdCgroup stays false because the kubelet's driver is cgroupfs."""
    return f"""version = 2
root = "{state.containerd}"
state = "{state.node}/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "{state.containerd_socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  # Without CAP_SYS_RESOURCE (a VM's root may lack it) runc cannot lower a score and fails to start anything.
  restrict_oom_score_adj = true
  # Registries of tests speak plain HTTP: each has a folder there, read at every pull, so it may come later.
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{state.registries}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
      Root = "{state.node}/runc"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{state.node}/cni"
"""


def kubelet(state: State) -> dict[str, Any]:
    pki = state.node / "pki"
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,  # CI machines still have it
        "failSwapOn": False,
        "clusterDNS": [NODE_ADDRESS],
        "clusterDomain": CLUSTER_DOMAIN,
        "containerRuntimeEndpoint": f"unix://{state.containerd_socket}",
        # The machine's disk is shared with build caches: percentages of it would evict pods for no reason.
        "evictionHard": {"memory.available": "200Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi"},
        "imageGCHighThresholdPercent": 100,  # images that came from no registry would be gone for good
        "maxPods": 250,
        "podLogsDir": str(state.logs / "pods"),
        "podPidsLimit": 4096,  # RLIMIT_NPROC counts per user of the node, not per pod
        "resolvConf": str(state.node / "resolv.conf"),  # the machine's own may name hosts outside
        "maxParallelImagePulls": 8,  # an image of 10 GB must not stand in the way of the others
        "serializeImagePulls": False,
        "shutdownGracePeriod": "0s",
    }


def kube_proxy(state: State) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "bindAddress": NODE_ADDRESS,
        "clientConnection": {"kubeconfig": str(state.node / "pki/kube-proxy.kubeconfig")},
        "clusterCIDR": POD_CIDR,
        "conntrack": {"maxPerCore": 0},  # leave the machine's own limit alone
        "healthzBindAddress": "127.0.0.1:10256",
        "hostnameOverride": NODE_NAME,
        "metricsBindAddress": "127.0.0.1:10249",
        "mode": "nftables",
    }


def audit_policy() -> dict[str, Any]:
    """Who called what, without bodies: benches count API calls per service account from it."""
    lease_reads = {
        "level": "None",
        "verbs": ["get", "list", "watch"],
        "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}],
    }
    probes = {
        "level": "None",
        "nonResourceURLs": ["/healthz*", "/livez*", "/readyz*", "/metrics", "/version"],
    }
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [lease_reads, probes, {"level": "Metadata"}],
    }


def corefile(state: State) -> str:
    """Cluster names only. Other names do not exist, at once: a refusal would make pods retry for seconds."""
    return f"""{CLUSTER_DOMAIN} in-addr.arpa {{
    bind {NODE_ADDRESS}
    errors
    health 127.0.0.1:10054
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa {{
        kubeconfig {state.node}/pki/coredns.kubeconfig
        pods insecure
        ttl 5
    }}
    loadbalance
}}
. {{
    bind {NODE_ADDRESS}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def objects() -> dict[str, Any]:
    """What the cluster itself needs inside: the default StorageClass and two identities' rights."""
    read = ["list", "watch"]
    rules = [
        {"apiGroups": [""], "resources": ["services", "pods", "namespaces", "endpoints"], "verbs": read},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": read},
    ]
    storage = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "standard",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "lambent.dev/folders",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    }
    rbac = "rbac.authorization.k8s.io"
    role = {
        "apiVersion": f"{rbac}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "lambent:coredns"},
        "rules": rules,
    }
    bindings = [
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": user},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": rbac, "kind": "User", "name": user}],
        }
        for user, name in (
            ("lambent:coredns", "lambent:coredns"),
            ("lambent:volumes", "system:persistent-volume-provisioner"),
        )
    ]
    return {"apiVersion": "v1", "kind": "List", "items": [storage, role, *bindings]}


def write(state: State) -> None:
    """All files of the running node."""
    files = {
        "containerd.toml": containerd(state),
        "kubelet.json": json.dumps(kubelet(state), indent=1),
        "kube-proxy.json": json.dumps(kube_proxy(state), indent=1),
        "audit-policy.json": json.dumps(audit_policy(), indent=1),
        "Corefile": corefile(state),
        "objects.json": json.dumps(objects(), indent=1),
        "resolv.conf": f"nameserver {NODE_ADDRESS}\n",
        "cni/10-lambent.conflist": cni_config(state.node / "addresses"),
    }
    for name, text in files.items():
        path: Path = state.node / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

"""The node's network: one bridge whose address is the node's own, and the pods behind it.

Everything stays inside the machine: the API server and DNS listen on the bridge's address only, and pods
get no route (no masquerading) to anything beyond the host. The addresses are fixed because there is one
node a machine.
"""

from __future__ import annotations

import json
from pathlib import Path

from .talking import Failed, ask, attempt

NETWORK = "lambent"
BRIDGE = "lambent0"
NODE_ADDRESS = "10.244.0.1"
POD_CIDR = "10.244.0.0/16"
SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"  # always the first address of the Service range
CLUSTER_DOMAIN = "cluster.local"

SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    # Answers of a pod to a pod on the same bridge must pass the host's address translation too,
    # or a Service that picks a neighbour would see answers from an address it never asked.
    "net/bridge/bridge-nf-call-iptables": "1",
    # Each pod watches files with inotify (kubelet, runtimes); the kernel's default is 128.
    "fs/inotify/max_user_instances": "1024",
}


def cni_config(addresses: Path) -> str:
    """The network of the pods, for containerd. `addresses` holds the leases: lost with the node's state."""
    ranges = [[{"subnet": POD_CIDR, "gateway": NODE_ADDRESS}]]
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,  # a pod may reach itself through its Service
        "ipam": {
            "type": "host-local",
            "ranges": ranges,
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(addresses),
        },
    }
    plugins = [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]
    return json.dumps({"cniVersion": "1.0.0", "name": NETWORK, "plugins": plugins}, indent=1)


def raise_bridge() -> None:
    """Make the bridge and set the kernel up; harmless when all is there."""
    attempt("modprobe", "-a", "br_netfilter", "overlay")  # may be built in
    for name, value in SYSCTLS.items():
        path = Path("/proc/sys") / name
        if not path.exists():
            raise Failed(f"the kernel offers no {name.replace('/', '.')} (module br_netfilter missing?)")
        current = path.read_text().strip()
        if current != value and not (name.startswith("fs/") and int(current) > int(value)):
            path.write_text(value)
    if not Path("/sys/class/net", BRIDGE).exists():
        refuse_foreign_address()
        ask(["ip", "link", "add", BRIDGE, "type", "bridge"])
    prefix = POD_CIDR.split("/")[1]
    if NODE_ADDRESS not in ask(["ip", "-brief", "-4", "address", "show", "dev", BRIDGE]):
        ask(["ip", "address", "add", f"{NODE_ADDRESS}/{prefix}", "dev", BRIDGE])
    ask(["ip", "link", "set", BRIDGE, "up"])


def refuse_foreign_address() -> None:
    """Two networks of one address on a machine fail in ways that nobody understands: say it first."""
    if (other := ask(["ip", "-brief", "-4", "address", "show", "to", POD_CIDR]).split()[:1]) != []:
        raise Failed(f"interface {other[0]} already has an address in {POD_CIDR}")


def remove_bridge() -> None:
    """Remove the bridge and kube-proxy's tables; the pods' ends of the veth pairs died with the pods."""
    for family in ("ip", "ip6"):
        attempt("nft", "delete", "table", family, "kube-proxy")
    attempt("ip", "link", "delete", BRIDGE)

"""Stopping the node, and undoing what its processes leave behind.

The order is the one that leaves nothing: who makes pods, pods while the kubelet can still end them, the kubelet,
the control plane (it drains for some seconds), the containers that are left, containerd, and at last what the
kernel keeps: mounts, cgroups, tables, the bridge. Each step works on whatever it finds, so a `down` that
was interrupted, or one after a reboot, ends in the same place.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from . import archives, binaries, network, processes
from .state import State
from .talking import Failed, attempt, say, step

MAKERS = ("kube-controller-manager", "kube-scheduler")  # who would replace the pods that are being ended
FIRST = ("volumes", "coredns", "kubelet", "kube-proxy")
CONTROL_PLANE = ("kube-apiserver", "etcd")
PATIENCE = {"kube-apiserver": 20.0}
POD_SECONDS = 15.0
CGROUPS = Path("/sys/fs/cgroup")
# The two paths that nobody lets us choose: the kubelet's links to logs, and what the CNI remembers.
CONTAINER_LOGS = Path("/var/log/containers")
CNI_RESULTS = Path("/var/lib/cni/results")


def down(state: State) -> None:
    """Stop the node; returns when nothing of it is left but images and logs. The caller holds the lock."""
    if not state.node.exists():
        return
    run = state.node / "run"
    with step("stopping the node"):
        stop(run, MAKERS)
        if processes.running(run, "kube-apiserver") and processes.running(run, "kubelet"):
            end_pods(state)
        stop(run, (*FIRST, *CONTROL_PLANE))
        end_containers(state)
        processes.stop(run, "containerd", patience=10.0)
        end_shims(state)
        unmount_below(state.root)
        remove_cgroups()
        network.remove_bridge()
        remove_links(state)
        shutil.rmtree(state.logs / "pods", ignore_errors=True)
        shutil.rmtree(state.node)


def stop(run: Path, names: tuple[str, ...]) -> None:
    """End processes in this order, each with its own patience."""
    for name in names:
        if processes.stop(run, name, patience=PATIENCE.get(name, 10.0)) == "killed":
            say(f"{name} did not end when asked and was killed")


def end_pods(state: State) -> None:
    """Delete every pod without grace and wait for the kubelet to end its containers."""
    if (tools := binaries.remembered(state)) is None:
        return
    with suppress(Failed, OSError, subprocess.TimeoutExpired):
        kubectl = [tools.kubectl, "--kubeconfig", str(state.kubeconfig)]
        delete = [
            "delete",
            "pods",
            "--all",
            "--all-namespaces",
            "--force",
            "--grace-period=0",
            "--wait=false",
        ]
        subprocess.run([*kubectl, *delete], check=False, capture_output=True, timeout=30)
        deadline = time.monotonic() + POD_SECONDS
        while archives.ctr(state, "tasks", "list", "-q").split() and time.monotonic() < deadline:
            time.sleep(0.2)


def end_containers(state: State) -> None:
    """Kill and remove what tasks and containers are left; the images stay."""
    if not processes.running(state.node / "run", "containerd"):
        return
    with suppress(Failed):
        for task in archives.ctr(state, "tasks", "list", "-q").split():
            with suppress(Failed):
                archives.ctr(state, "tasks", "delete", "--force", task)
        for container in archives.ctr(state, "containers", "list", "-q").split():
            with suppress(Failed):
                archives.ctr(state, "containers", "delete", container)


def end_shims(state: State) -> None:
    """End the shims of this node's containerd and what runs below them: they outlive a killed containerd."""
    for shim in shims(str(state.containerd_socket)):
        for child in children(shim):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.kill(shim, signal.SIGKILL)


def shims(socket: str) -> list[int]:
    """The processes that were told this very socket on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if "containerd-shim" in words[0] and socket in words:
                    found.append(int(entry.name))
    return found


def children(pid: int) -> Iterator[int]:
    """The direct children of a process."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            yield from map(int, task.read_text().split())


def mounts_below(folder: Path, table: str) -> list[str]:
    """The mount points at or below a folder, the innermost first. `table` is the text of /proc/mounts."""
    points = [line.split()[1].encode().decode("unicode_escape") for line in table.splitlines()]
    return [point for point in reversed(points) if Path(point).is_relative_to(folder)]


def unmount_below(folder: Path) -> None:
    """Undo the kubelet's and containerd's mounts."""
    for point in mounts_below(folder, Path("/proc/self/mounts").read_text()):
        attempt("umount", "-l", point)


def remove_cgroups() -> None:
    """Remove the kubelet's cgroups, the innermost first; the kernel refuses those that still hold processes."""
    roots = [CGROUPS / "kubepods", *CGROUPS.glob("*/kubepods")]
    for root in roots:
        for folder, _, _ in os.walk(root, topdown=False):
            with suppress(OSError):
                os.rmdir(folder)


def sandboxes(result: str) -> list[str]:
    """The network namespaces that a result of the CNI speaks of: paths, `/var/run/netns/cni-…`."""
    with suppress(ValueError, AttributeError):
        interfaces = (json.loads(result).get("result") or {}).get("interfaces") or []
        found = {interface.get("sandbox", "") for interface in interfaces}
        return sorted(path for path in found if Path(path).name.startswith("cni-"))
    return []


def remove_namespaces(result: str) -> None:
    """Remove the network namespaces of a pod whose sandbox could not be ended in order; its veth goes with it."""
    for path in sandboxes(result):
        if Path(path).exists():
            attempt("umount", path)
            with suppress(OSError):
                Path(path).unlink()


def remove_links(state: State) -> None:
    """Remove the kubelet's links to this node's pod logs, and the CNI's results of this node's network."""
    for result in CNI_RESULTS.glob(f"{network.NETWORK}-*"):
        sandbox = result.name.removeprefix(f"{network.NETWORK}-").partition("-")[0]
        for each in CNI_RESULTS.glob(f"*-{sandbox}-*"):  # its loopback device has one of its own
            remove_namespaces(each.read_text())
            each.unlink()
    if CONTAINER_LOGS.is_dir():
        for link in CONTAINER_LOGS.iterdir():
            if link.is_symlink() and os.readlink(link).startswith(str(state.logs)):
                link.unlink()

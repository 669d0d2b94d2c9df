"""The node that is made of processes on this machine: bring it up, heal it, see whether it is well.

A node does not outlive its boot: after one, pods, mounts and addresses are gone, so the cluster starts
anew (images stay). Within a boot, whatever process died is started again over the same data.
"""

from __future__ import annotations

import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from . import archives, binaries, configs, debian, network, pki, processes, tearing_down
from .binaries import Binaries
from .programs import Program, programs
from .state import State, locked
from .talking import Failed, ask, say, tail, wait_until

READY_SECONDS = 90.0
BOOT_FILE = "boot"


def up(state: State) -> Binaries:
    """Make sure that the node runs; returns its programs. A node that is well costs no lock and no second."""
    if (tools := binaries.remembered(state)) and is_well(state, tools):
        return tools
    if sys.platform != "linux" or os.geteuid() != 0:
        raise Failed("a local node needs root on Linux (or give a cluster by LAMBENT_KUBECONFIG, or run Docker)")
    with locked(state, "node"):
        if (tools := binaries.remembered(state)) and is_well(state, tools):
            return tools  # while this one waited for the lock, its holder did it
        tools = prepare(state)
        if not begins_here(state):
            tearing_down.down(state)
        set_up(state, tools)
        start_all(state, tools)
        settle(state, tools)
        return tools


def prepare(state: State) -> Binaries:
    """Packages and programs, side by side: one waits for the network, the other for the processor."""
    with ThreadPoolExecutor() as pool:
        packages = pool.submit(debian.install, debian.NODE, state)
        built = pool.submit(binaries.build, state)
        packages.result()
        return built.result()


def begins_here(state: State) -> bool:
    """Whether what lies in the state is of this boot (or nothing lies there)."""
    try:
        return (state.node / BOOT_FILE).read_text() == processes.boot_id()
    except FileNotFoundError:
        return not state.node.exists()


def set_up(state: State, tools: Binaries) -> None:
    """Everything that is not a process: folders, certificates, files, the bridge."""
    state.node.mkdir(parents=True, exist_ok=True)
    (state.node / BOOT_FILE).write_text(processes.boot_id())
    pki.make(state.node / "pki")
    network.raise_bridge()
    configs.write(state)
    shutil.copy(state.node / "pki/admin.kubeconfig", state.kubeconfig)
    binaries.remember(state, tools)


def start_all(state: State, tools: Binaries) -> None:
    """Start what does not run, stage by stage."""
    everything = programs(state, tools)
    for stage in sorted({program.stage for program in everything}):
        members = [program for program in everything if program.stage == stage]
        for program in members:
            start(state, program)
        for program in members:
            log = state.logs / f"{program.name}.log"
            wait_until(program.name, partial(serves, state, program), seconds=READY_SECONDS, log=log)
        if stage == 0:  # before the kubelet asks for its first sandbox
            archives.import_pause(state)
        if stage == 1:  # before anybody is refused the rights that these objects give
            apply_objects(state, tools)


def start(state: State, program: Program) -> None:
    """Start one program unless it runs already; its old log is kept as .1."""
    if processes.running(state.node / "run", program.name):
        return
    if program.ready and program.ready():
        raise Failed(f"something else on this machine already answers where {program.name} would")
    log = state.logs / f"{program.name}.log"
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
    processes.start(state.node / "run", program.name, program.argv, log)


def serves(state: State, program: Program) -> bool:
    """Whether it is ready; a program that ended by itself will not come, so say why at once."""
    if processes.running(state.node / "run", program.name):
        return program.ready is None or program.ready()
    raise Failed(f"{program.name} ended; the end of its log:\n{tail(state.logs / f'{program.name}.log')}")


def apply_objects(state: State, tools: Binaries) -> None:
    """Give the cluster its own objects. The first minute of a new API server may refuse some: try again."""
    kubectl = [tools.kubectl, "--kubeconfig", str(state.kubeconfig)]
    apply = [*kubectl, "apply", "-f", str(state.node / "objects.json")]
    wait_until("the cluster's own objects", lambda: succeeds(apply), seconds=READY_SECONDS, every=0.3)


def succeeds(argv: list[str]) -> bool:
    """Whether a program exits 0."""
    try:
        ask(argv, timeout=60)
    except Failed:
        return False
    return True


def settle(state: State, tools: Binaries) -> None:
    """Wait until pods can be created."""
    kubectl = [tools.kubectl, "--kubeconfig", str(state.kubeconfig)]
    log = state.logs / "kubelet.log"
    wait_until("the node to be Ready", lambda: is_ready(kubectl), seconds=READY_SECONDS, log=log, every=0.3)
    account = ["get", "serviceaccount", "default", "--ignore-not-found", "-o", "name"]
    wait_until("the default service account", lambda: ask([*kubectl, *account]).strip(), seconds=READY_SECONDS)


def is_ready(kubectl: list[str]) -> bool:
    """Whether the node says Ready."""
    path = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
    try:
        return ask([*kubectl, "get", "node", pki.NODE_NAME, "-o", path]).strip() == "True"
    except Failed:
        return False


def is_well(state: State, tools: Binaries) -> bool:
    """Whether every process lives and the node says Ready: what makes a second `up` short."""
    if not begins_here(state) or not state.kubeconfig.exists():
        return False
    if not all(processes.running(state.node / "run", program.name) for program in programs(state, tools)):
        return False
    if tools != binaries.locate(state):
        say("the node runs the programs of another checkout; `down` and `up` would change to this one's")
    return is_ready([tools.kubectl, "--kubeconfig", str(state.kubeconfig)])

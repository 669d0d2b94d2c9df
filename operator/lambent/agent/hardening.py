"""What keeps the function, which runs with the agent's uid, out of the agent: prctl(2), before anything else.

Not dumpable: no ptrace, no /proc/<agent>/mem and no /proc/<agent>/environ for processes of the same uid.
A same-uid process can still send signals: SIGKILL and SIGSTOP do not reach PID 1 from inside, neither does any signal
that PID 1 has no handler for, and `endings` tells the kubelet's SIGTERM from the function's.
"""

import os
import signal

from .kernel import limit_files, limit_processes, prctl

ENDINGS = frozenset((signal.SIGTERM, signal.SIGINT))
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_OOM_SCORE_OF_CHILDREN = "1000"
_MOST_FILES = 1024  # Lambda's limit of file descriptors of a process
_MOST_PROCESSES = 1024  # Lambda's limit of processes and threads of an environment


def become_undumpable() -> None:
    """Raises OSError when the kernel refuses."""
    prctl(_PR_SET_DUMPABLE, 0)


def become_subreaper() -> None:
    """Orphans of the function become our children, so that a reset finds them also where we are not PID 1."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def hold_endings() -> None:
    """Blocks what would end us, until `endings` asks who sent it. Before there is any other thread: they inherit it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)


def limit_resources() -> None:
    """What children inherit: Lambda's limits. Ours are far above what we need ourselves."""
    limit_files(_MOST_FILES)
    try:
        with open("/proc/self/uid_map", encoding="ascii") as file:
            users = file.read()
    except OSError:
        return
    if has_users_of_its_own(users):
        limit_processes(_MOST_PROCESSES)


def has_users_of_its_own(uid_map: str) -> bool:
    """Whether this is a user namespace of our own (a pod with `hostUsers: false`).

    RLIMIT_NPROC counts a user's processes in all pods of the node otherwise: functions would starve each other. There
    only the kubelet's podPidsLimit bounds them.
    """
    return uid_map.split() != ["0", "0", "4294967295"]


def prefer_as_oom_victim(pid: int) -> None:
    """The kernel takes the runtime before the agent; raising one's own score needs no privilege."""
    try:
        with open(f"/proc/{pid}/oom_score_adj", "w", encoding="ascii") as score:
            score.write(_OOM_SCORE_OF_CHILDREN)
    except OSError:
        pass  # gone already, or a sandbox without /proc: the limit still holds, only the choice is the kernel's


def forget_secrets() -> None:
    """Takes the door's token hash out of our own environment, whence children would inherit it."""
    for name in [name for name in os.environ if name.startswith("LAMBENT_")]:
        del os.environ[name]

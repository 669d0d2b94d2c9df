"""What keeps the function, which runs with the agent's uid, out of the agent: prctl(2), before anything else.

Not dumpable: no ptrace, no /proc/<agent>/mem and no /proc/<agent>/environ for processes of the same uid.
A same-uid process can still send signals: SIGKILL and SIGSTOP do not reach PID 1 from inside, neither does any signal
that PID 1 has no handler for, and `endings` tells the kubelet's SIGTERM from the function's.
"""

import os
import signal

from .kernel import prctl

ENDINGS = frozenset((signal.SIGTERM, signal.SIGINT))
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_OOM_SCORE_OF_CHILDREN = "1000"


def become_undumpable() -> None:
    """Raises OSError when the kernel refuses."""
    prctl(_PR_SET_DUMPABLE, 0)


def become_subreaper() -> None:
    """Orphans of the function become our children, so that a reset finds them also where we are not PID 1."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def hold_endings() -> None:
    """Blocks what would end us, until `endings` asks who sent it. Before there is any other thread: they inherit it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)


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

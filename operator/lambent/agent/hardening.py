"""What keeps the function, which runs with the agent's uid, out of the agent: prctl(2), before anything else.

Not dumpable: no ptrace, no /proc/<agent>/mem and no /proc/<agent>/environ for processes of the same uid.
Honest limit: a same-uid process can still send signals, though not SIGKILL or SIGSTOP to PID 1 from inside.
"""

import ctypes
import os

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_OOM_SCORE_OF_CHILDREN = "1000"


def become_undumpable() -> None:
    """Raises OSError when the kernel refuses."""
    _prctl(_PR_SET_DUMPABLE, 0)


def become_subreaper() -> None:
    """Orphans of the function become our children, so that a reset finds them also where we are not PID 1."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


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


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))

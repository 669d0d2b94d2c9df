"""What Python has no function for: through ctypes, or the static program's own module where ctypes cannot be."""

import os
import signal
from typing import Any, Final

_NO_STOPPED_CHILDREN: Final = 1  # SA_NOCLDSTOP
_SIGNAL_SET_BYTES: Final = 128  # of the C library, not of the kernel


def prctl(option: int, value: int) -> None:
    """An option of this process, as prctl has it. Raises OSError when the kernel refuses."""
    built_in = _built_in()
    if built_in is not None:
        built_in.prctl(option, value)
        return
    libc, fail = _libc()
    if libc.prctl(option, value, 0, 0, 0) != 0:
        fail()


def hear_only_of_ends() -> None:
    """SIGCHLD no longer tells of children that were stopped or continued, whatever handler it has."""
    built_in = _built_in()
    if built_in is not None:
        built_in.hear_only_of_ends()
        return
    import ctypes

    class Action(ctypes.Structure):
        """`struct sigaction` of glibc and musl on 64 bits."""

        _fields_ = (
            ("handler", ctypes.c_void_p),
            ("mask", ctypes.c_byte * _SIGNAL_SET_BYTES),
            ("flags", ctypes.c_int),
            ("restorer", ctypes.c_void_p),
        )

    libc, fail = _libc()
    action = Action()
    if libc.sigaction(int(signal.SIGCHLD), None, ctypes.byref(action)) != 0:
        fail()
    action.flags |= _NO_STOPPED_CHILDREN
    if libc.sigaction(int(signal.SIGCHLD), ctypes.byref(action), None) != 0:
        fail()


def limit_files(most: int) -> None:
    """Open descriptors of this process and of every child to come (RLIMIT_NOFILE); no higher than it is already."""
    _limit("RLIMIT_NOFILE", most)


def limit_processes(most: int) -> None:
    """Processes and threads of this user (RLIMIT_NPROC); no higher than it is already."""
    _limit("RLIMIT_NPROC", most)


def _limit(name: str, most: int) -> None:
    built_in = _built_in()
    if built_in is not None:
        built_in.limit(name == "RLIMIT_NPROC", most)
        return
    import resource

    which = getattr(resource, name)
    hard = resource.getrlimit(which)[1]
    reached = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(which, (reached, reached))


def _built_in() -> Any:
    try:
        import _lambent_kernel  # type: ignore[import-not-found]
    except ImportError:
        return None
    return _lambent_kernel


def _libc() -> tuple[Any, Any]:
    import ctypes

    def fail() -> None:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))

    return ctypes.CDLL(None, use_errno=True), fail

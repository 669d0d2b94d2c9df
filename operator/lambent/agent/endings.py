"""Whose SIGTERM is it? The kubelet's ends this environment; one of the function's own processes does not.

The kernel says who sent a signal. A sender outside our PID namespace has no number in it, so PID 1 sees 0; only the
kernel itself may claim that (a forged sigqueue has another code). Where we are not PID 1, descendants are the function.
Signals that say who sent them are waited for, not handled: `hardening` blocks them, children get them unblocked.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from typing import Final, Protocol

from .hardening import ENDINGS
from .supervising import descendants

_SENT_BY_KILL: Final = 0  # SI_USER
_SENT_BY_KERNEL: Final = 0x80  # SI_KERNEL: a terminal's ^C


class Sender(Protocol):
    """What a siginfo says of it."""

    @property
    def si_code(self) -> int: ...  # noqa: D102

    @property
    def si_pid(self) -> int: ...  # noqa: D102


def is_from_outside(sender: Sender, own_pid: int, inside: Callable[[], list[int]]) -> bool:
    """Whether the signal came from whoever runs this environment. `inside` lists the function's processes."""
    if sender.si_code != _SENT_BY_KILL:
        return sender.si_code == _SENT_BY_KERNEL
    if own_pid == 1:
        return sender.si_pid == 0
    return sender.si_pid != own_pid and sender.si_pid not in inside()


def listen(loop: asyncio.AbstractEventLoop, end: Callable[[], None], ignored: Callable[[int], None]) -> None:
    """Calls `end` in the loop for an ending from outside, and `ignored` with the sender the first time from inside."""

    def wait() -> None:
        told = False
        while True:
            sender = signal.sigwaitinfo(ENDINGS)
            if is_from_outside(sender, os.getpid(), lambda: descendants(os.getpid())):
                loop.call_soon_threadsafe(end)
            elif not told:
                told = True
                loop.call_soon_threadsafe(ignored, sender.si_pid)

    threading.Thread(target=wait, name="endings", daemon=True).start()

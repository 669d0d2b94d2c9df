"""Whose SIGTERM it is."""

from types import SimpleNamespace

import pytest

from lambent.agent.endings import is_from_outside

USER, QUEUE, KERNEL = 0, -1, 0x80
SENDERS = {
    "PID 1, from outside its namespace": (1, USER, 0, True),
    "PID 1, from a process inside": (1, USER, 7, False),
    "PID 1, from itself": (1, USER, 1, False),
    "PID 1, forged as if from outside": (1, QUEUE, 0, False),
    "PID 1, from a terminal": (1, KERNEL, 0, True),
    "another, from whoever started it": (50, USER, 3, True),
    "another, from below it": (50, USER, 51, False),
    "another, from itself": (50, USER, 50, False),
    "another, forged": (50, QUEUE, 3, False),
}


@pytest.mark.parametrize("row", SENDERS.values(), ids=SENDERS)
def test_an_ending_is_from_outside(row):
    """Only what the kernel vouches for, and only from whoever is not the function."""
    own, code, sender, expected = row
    assert is_from_outside(SimpleNamespace(si_code=code, si_pid=sender), own, lambda: [51, 52]) is expected

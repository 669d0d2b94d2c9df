"""Is an invocation traced whose caller has not decided? Lambda's rule for `tracingConfig.mode: Active`.

One invocation a second of each function, and five of a hundred beyond that.
"""

from __future__ import annotations

ACTIVE, PASS_THROUGH = "Active", "PassThrough"
SHARE = 0.05


class Reservoir:
    """Which functions have had their one invocation of the present second."""

    def __init__(self) -> None:
        self._second = 0
        self._served: set[str] = set()

    def sample(self, function_uid: str, second: int, roll: float) -> bool:
        """Whether this invocation is traced. `roll` is a die, from 0 to 1."""
        if second != self._second:
            self._second, self._served = second, set()
        if function_uid not in self._served:
            self._served.add(function_uid)
            return True
        return roll < SHARE

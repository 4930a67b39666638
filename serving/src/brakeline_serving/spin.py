"""Looking for the next request instead of sleeping, for a moment after each answer.

A core that sleeps between two requests wakes up late and with cold caches. Who has a core to spare for a server may
have it look on; by default it does not.
"""

import asyncio
import time


class Spinner:
    """Keeps the event loop turning for `seconds` after the last `touch`; 0 never does."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds
        self._until_s = 0.0
        self._turning = False

    def touch(self) -> None:
        """Something was answered: go on looking for a while. Called in the loop's thread."""
        if not self._seconds:
            return
        self._until_s = time.perf_counter() + self._seconds
        if not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        if time.perf_counter() < self._until_s:
            asyncio.get_running_loop().call_soon(self._turn)
        else:
            self._turning = False

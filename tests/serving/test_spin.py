"""Looking for the next request instead of sleeping: for as long as was said, and not a moment without being told."""

from __future__ import annotations

import asyncio
import time

from brakeline_serving.spin import Spinner


def _busy_s(seconds: float) -> tuple[float, float]:
    """Processor time of the first 0.1 s after an answer, and of the 0.2 s that follow [s]."""

    async def live() -> tuple[float, float]:
        spinner = Spinner(seconds)
        spinner.touch()
        spinner.touch()  # two answers make no two turns
        began = time.process_time()
        await asyncio.sleep(0.1)
        first = time.process_time() - began
        await asyncio.sleep(0.2)
        return first, time.process_time() - began - first

    return asyncio.run(live())


def test_the_loop_turns_for_as_long_as_was_said() -> None:
    """Awake for 0.1 s, and then asleep."""
    first, then = _busy_s(0.1)
    assert first > 0.02
    assert then < 0.02


def test_by_default_it_sleeps() -> None:
    """No time set, no turn."""
    first, then = _busy_s(0.0)
    assert first + then < 0.02

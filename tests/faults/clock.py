"""A wall clock that jumps while processes run under it, by Debian's libfaketime; their monotonic clock goes on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
# Its clock_nanosleep, which Python's sleep is since 3.11, answers EINVAL for a time of the monotonic clock (0.9.10).
_SLEEP = "import select, time\ntime.sleep = lambda seconds: select.select([], [], [], seconds) and None\n"


class Clock:
    """What the wall clock shows less what it should [h], for all processes that were started with `environment`."""

    def __init__(self, folder: Path) -> None:
        if not LIBRARY.is_file():
            pytest.skip(f"no {LIBRARY.name} to turn a clock by: apt-get install libfaketime")
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(_SLEEP)
        self._folder, self._file = folder, folder / "offset"
        self.jump(0)

    @property
    def environment(self) -> dict[str, str]:
        """What a process has to be told."""
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "PYTHONPATH": os.pathsep.join([str(self._folder), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }

    def jump(self, hours: int) -> None:
        """Set the clock to so many hours from what it should be."""
        staged = self._folder / "offset.new"
        staged.write_text(f"{hours:+d}h\n")
        staged.replace(self._file)

    @contextmanager
    def jumping(self, *hours: int, every_s: float = 0.4) -> Iterator[list[int]]:
        """Jump again and again while a block lasts; yields the jumps so far."""
        ended, made = Event(), list[int]()

        def jump() -> None:
            while not ended.wait(every_s):
                self.jump(hours[len(made) % len(hours)])
                made.append(hours[len(made) % len(hours)])

        thread = Thread(target=jump)
        thread.start()
        try:
            yield made
        finally:
            ended.set()
            thread.join()

"""Numbers that every worker of a server writes into a part of its own and any of them can add up.

They lie in shared memory, so that /metrics and the statistics tell of the whole server whichever worker is asked, and
a killed worker's counts are not lost. Each worker has fixed cells and some slots, one for each version of a model that
it has served; a slot is found by the version's key.
"""

import hashlib
import mmap
from collections.abc import Iterator, MutableSequence, Sequence
from typing import cast

import numpy as np

from brakeline_serving.distribution import MOST_BINS, MOST_FEATURES

# From one row in process (about 20 µs) to a full batch on a busy machine [s].
LATENCY_S = (
    *(10e-6, 20e-6, 30e-6, 50e-6, 75e-6, 100e-6, 150e-6, 200e-6, 300e-6, 500e-6, 750e-6),
    *(1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 0.1, 0.2, 0.5, 1.0),
)
BATCH_ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 1_000.0, 10_000.0)
MARGIN_M = (-100.0, -50.0, -20.0, -10.0, -5.0, 0.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)
SPREAD_M = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)
DIFFERENCE_M = (-20.0, -10.0, -5.0, -2.0, -1.0, -0.5, -0.1, 0.0, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)

ENDPOINTS = (
    *("infer", "grpc_infer", "server", "live", "ready", "model", "model_ready", "config", "stats", "index"),
    *("load", "unload", "metrics", "root", "grpc_other", "unknown", "unreadable"),
)
STATUSES = (200, 304, 400, 401, 403, 404, 405, 408, 409, 413, 415, 417, 431, 500, 503)
REASONS = (
    *("internal_error", "malformed", "field_refused", "input_missing", "unauthorized", "unknown_path"),
    *("unknown_model", "method_not_allowed", "request_timed_out", "body_too_large", "encoding_not_supported"),
    *("expectation_failed", "head_too_large", "overloaded", "too_many_connections", "load_timed_out"),
    *("load_refused", "store_decides", "not_ready", "foreign_origin"),
)
SLOTS = 8

Cells = MutableSequence[float]  # in truth a memoryview: the fastest that shared memory can be written by


def _places(sizes: Sequence[tuple[str, int]]) -> tuple[dict[str, int], int]:
    places, at = {}, 0
    for name, size in sizes:
        places[name] = at
        at += size
    return places, at


FIXED, _FIXED_CELLS = _places(
    (
        ("connections", 1),
        ("waiting", 1),
        ("requests", len(ENDPOINTS) * len(STATUSES)),
        ("errors", len(REASONS)),
        ("latency", len(LATENCY_S) + 2),  # a histogram's counts, one beyond the last bound, and the sum
        ("batch", len(BATCH_ROWS) + 2),
        ("rows", 1),
        ("out_of_range", 1),
        ("out_of_distribution", 1),
        ("loads", 1),
        ("refusals", 1),
        ("shadow_dropped", 1),
        ("logged", 1),
        ("log_dropped", 1),
        ("wishes_met", 1),
        ("ready", 1),
    )
)
SLOT, _SLOT_CELLS = _places(
    (
        ("key", 1),
        *(("success", 1), ("success_ns", 1), ("fail", 1), ("fail_ns", 1), ("queue_ns", 1)),
        *(("input_ns", 1), ("infer_ns", 1), ("output_ns", 1), ("rows", 1), ("runs", 1), ("last_ms", 1)),
        ("margin", len(MARGIN_M) + 2),
        ("spread", len(SPREAD_M) + 2),
        ("difference", len(DIFFERENCE_M) + 2),
        ("features", MOST_FEATURES * MOST_BINS),
    )
)
_CELLS = _FIXED_CELLS + SLOTS * _SLOT_CELLS


class Board:
    """The cells of all workers."""

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self._memory = mmap.mmap(-1, 8 * _CELLS * workers)  # shared with the processes forked from this one
        self.table = np.frombuffer(self._memory, dtype=np.float64).reshape(workers, _CELLS)

    def cells(self, worker: int) -> Cells:
        """A worker's own cells, to write."""
        start = 8 * _CELLS * worker
        return cast(Cells, memoryview(self._memory)[start : start + 8 * _CELLS].cast("d"))

    def total(self, name: str, size: int = 1, offset: int = 0) -> np.ndarray:
        """The sum over workers of fixed cells."""
        start = FIXED[name] + offset
        summed: np.ndarray = self.table[:, start : start + size].sum(axis=0)
        return summed

    def slot(self, key: float) -> np.ndarray:
        """The sum over workers of a version's slot, whatever its place with each of them; `last_ms` is the latest."""
        slots = [self.table[worker, at : at + _SLOT_CELLS] for worker in range(self.workers) for at in _slots()]
        mine = np.array([slot for slot in slots if slot[0] == key])
        if not len(mine):
            return np.zeros(_SLOT_CELLS)
        summed: np.ndarray = mine.sum(axis=0)
        summed[SLOT["last_ms"]] = mine[:, SLOT["last_ms"]].max()
        return summed


def key_of(version: str, sha256: str) -> float:
    """A number that stands for one version's file, small enough to be exact as a float64 and never 0."""
    digest = hashlib.sha256(f"{version}:{sha256}".encode()).digest()
    return float(int.from_bytes(digest[:6], "big") + 1)


def take_slot(cells: Cells, key: float, kept: Sequence[float]) -> int:
    """Where a version's slot begins in a worker's cells: its own, else an empty one, else one that is not kept."""
    places = list(_slots())
    for at in places:
        if cells[at] == key:
            return at
    free = [at for at in places if cells[at] == 0.0] or [at for at in places if cells[at] not in kept]
    at = free[0]
    for place in range(at, at + _SLOT_CELLS):
        cells[place] = 0.0
    cells[at] = key
    return at


def _slots() -> Iterator[int]:
    return iter(range(_FIXED_CELLS, _CELLS, _SLOT_CELLS))

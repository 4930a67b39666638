"""The prediction log: a share of the requests with their ids and answers, as JSON lines in files that rotate.

Lines are written in a thread. When it is behind, or the disk is, predictions are dropped and counted; no request waits.
Beside them lies `model-<sha256>.json` for each model that answered: its contract and what its outputs mean, so that the
log can be read where neither the model nor a server is.
"""

import os
import random
import threading
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from queue import Full, Queue

import msgspec
import numpy as np

from brakeline_serving import diary
from brakeline_serving.ask import Ask
from brakeline_serving.counters import Counters
from brakeline_serving.errors import CannotKeep
from brakeline_serving.lane import Matrix
from brakeline_serving.model import Model
from brakeline_serving.settings import Keeping

MOST_WAITING = 10_000  # requests
MOST_ROWS = 100  # of one request that are kept
FILES = 4  # the current one and those before it share the bytes allowed
_encode = msgspec.json.Encoder().encode

_Entry = tuple[float, Model, str | None, bytes | None, bytes, bytes, int]


class PredictionLog:
    """Keeps predictions in `<folder>/predictions-<worker>.jsonl`; older ones get .1, .2 and so on behind it."""

    def __init__(self, keeping: Keeping, name: str, worker: int, counters: Counters) -> None:
        """Raises CannotKeep for a folder that cannot be written in."""
        self._share = keeping.share
        self._file = keeping.folder / f"predictions-{worker}.jsonl"
        self._most_bytes = max(keeping.most_bytes // FILES, 1)
        self._name = name
        self._counters = counters
        self._queue: Queue[_Entry | None] = Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._work, name="predictions", daemon=True)
        self._chance = random.Random()  # noqa: S311  a sample, no secret
        self._described: set[str] = set()
        try:
            keeping.folder.mkdir(parents=True, exist_ok=True)
            _end_last_line(self._file)
        except OSError as error:
            raise CannotKeep(keeping.folder, str(error.strerror or error)) from error
        self._thread.start()

    def offer(self, asks: list[Ask], answers: Matrix) -> None:
        """Take some of the requests with their answers (outputs, rows), or drop them; never wait."""
        start = 0
        for ask in asks:
            if self._chance.random() < self._share:
                kept = min(ask.count, MOST_ROWS)
                rows = ask.rows[: len(ask.rows) // ask.count * kept]
                told = answers[:, start : start + kept].tobytes()
                try:
                    self._queue.put_nowait((time.time(), ask.model, ask.id, ask.trace, rows, told, kept))
                except Full:
                    self._counters.add("log_dropped")
            start += ask.count

    def close(self, timeout_s: float) -> None:
        """Write what waits, for so long at most."""
        try:
            self._queue.put(None, timeout=timeout_s)
        except Full:
            return
        self._thread.join(timeout_s)

    def _work(self) -> None:
        is_well = True
        while (entry := self._queue.get()) is not None:
            entries: list[_Entry] = [entry]
            while len(entries) < MOST_ROWS and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    self._queue.put(None)
                    break
                entries.append(following)
            try:
                for model in dict.fromkeys(each[1] for each in entries):
                    self._describe(model)
                self._write(b"".join([self._line(*each) for each in entries]))
            except OSError as error:
                self._counters.add("log_dropped", len(entries))
                if is_well:
                    diary.warn("predictions_not_written", message=str(error))
                is_well = False
            except Exception:  # noqa: BLE001  a bug here must not end the log unseen
                diary.error("bug", endpoint="predictions", traceback=traceback.format_exc())
            else:
                is_well = True
                self._counters.add("logged", len(entries))

    def _write(self, lines: bytes) -> None:
        with self._file.open("ab", buffering=0) as file:
            before, rest = file.tell(), memoryview(lines)
            try:
                while rest:
                    rest = rest[file.write(rest) or 0 :]
            except OSError:
                # A line that the disk cut off would take the next one with it.
                file.truncate(before)
                raise
            is_full = file.tell() >= self._most_bytes
        if is_full:
            for number in range(FILES - 1, 0, -1):
                older = self._numbered(number - 1)
                if older.exists():
                    older.replace(self._numbered(number))

    def _describe(self, model: Model) -> None:
        if model.sha256 in self._described:
            return
        told = {
            "model": self._name,
            "version": model.version,
            "sha256": model.sha256,
            "contract": model.contract.to_object(),
            "outputs": model.described(),
        }
        target = self._file.with_name(f"model-{model.sha256}.json")
        staged = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            staged.write_bytes(_encode(told) + b"\n")
            staged.replace(target)
        finally:
            staged.unlink(missing_ok=True)
        self._described.add(model.sha256)

    def _numbered(self, number: int) -> Path:
        return self._file.with_name(f"{self._file.name}.{number}") if number else self._file

    def _line(
        self, at: float, model: Model, id_: str | None, trace: bytes | None, rows: bytes, told: bytes, count: int
    ) -> bytes:
        given = np.frombuffer(rows, np.float32).reshape(count, -1).T
        answers = np.frombuffer(told, np.float32).reshape(-1, count)
        line = {
            "time": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"),
            "id": id_,
            "traceparent": None if trace is None else trace.decode("latin-1"),
            "model": self._name,
            "version": model.version,
            "sha256": model.sha256,
            "inputs": {name: values.tolist() for name, values in zip(model.features, given, strict=True)},
            "outputs": {name: values.tolist() for name, values in zip(model.outputs, answers, strict=True)},
        }
        return _encode(line) + b"\n"


def _end_last_line(file: Path) -> None:
    """Make the file, or end a line that a killed server left unfinished, so that no other is joined to it."""
    with file.open("a+b") as stream:
        if stream.tell():
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":
                stream.write(b"\n")

"""Many shards of one `generate` call in one process: `python _parts.py FOLDER SHARDS ROWS`.

Each is made by the step's real verb, in a thread, where the verb leaves signals alone; starting a process for each
would cost more than all of their work.
"""

import contextlib
import io
import sys
import threading
from pathlib import Path

from brakeline_synthesize.cli import app


def make(folder: Path, shards: int, rows: int) -> None:
    """Write `folder/NNNN` for each shard."""
    for index in range(shards):
        part = folder / f"{index:04d}"
        words = ["generate", "--part", str(part), "--rows", str(rows), "--holdout-rows", "2000",
                 "--faulty-rows", "2000", "--shard", f"{index}/{shards}"]  # fmt: skip
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            app(words, standalone_mode=False)


if __name__ == "__main__":
    worker = threading.Thread(target=make, args=(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
    worker.start()
    worker.join()
    made = list(Path(sys.argv[1]).iterdir())
    if len(made) != int(sys.argv[2]):
        raise SystemExit(f"{len(made)} shards of {sys.argv[2]} were made")

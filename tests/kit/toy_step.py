"""A step of a few lines, run as a process by the kit's tests."""

import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Annotated

from stepkit import artifacts, ending
from stepkit.app import Result, StepApp
from stepkit.errors import TryAgain, UsageError
from stepkit.executor import ExecutorInput
from stepkit.signature import (
    input_artifact,
    input_artifacts,
    output_artifact,
    output_lineage,
    output_parameter,
    text,
    whole_number,
)

Output = Annotated[Path, output_artifact("File to write")]

app = StepApp("toy", "1", "Count what is in files.")


def _bytes(part: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(part.glob("*"))) if part.is_dir() else part.read_bytes()


def count(
    source: Annotated[Path, input_artifact("File to count")],
    parts: Annotated[list[Path], input_artifacts("More files")],
    total: Output,
    pages: Annotated[Path, output_artifact("Folder with a file for each part")],
    seed: Annotated[int, whole_number("Any number")] = 0,
    label: Annotated[str, text("Any text; `fail` fails")] = "",
    passed: Annotated[Path | None, output_parameter("Whether all is well", bool)] = None,
) -> Result:
    """Count bytes."""
    pages.mkdir()
    for number, part in enumerate(parts):
        (pages / f"{number}.txt").write_text(str(len(_bytes(part))))
    if label == "fail":
        raise TryAgain("not today")
    total.write_text(f"{len(source.read_bytes())} {seed}")
    return Result({"total": {"parts": len(parts)}}, {"passed": seed == 0}, {"mean": float("nan"), "where": Path("x")})


def tell_all(
    source: Annotated[Path, input_artifact("File to count")],
    parts: Annotated[list[Path], input_artifacts("More files or folders")],
    total: Output,
    pages: Annotated[Path, output_artifact("Folder with a file for each part")],
    told: Annotated[Path, output_lineage("Where they come from")],
    seed: Annotated[int, whole_number("Any number")] = 0,
    label: Annotated[str, text("Any text; `fail` fails")] = "",
) -> Result:
    """Count bytes, and tell where it comes from."""
    return count(source, parts, total, pages, seed, label)


def look(seen: Output) -> Result:
    """Look at something that is no artifact."""
    seen.write_text("something")
    return Result()


def tell() -> Result:
    """Write nothing."""
    return Result()


def hand(given: ExecutorInput, handed: Output) -> Result:
    """Write down what the pipeline said of this task."""
    artifacts.write_json(handed, given.message)
    return Result()


def choose(
    chosen: Output, source: Annotated[Path | None, input_artifact("File, or none", optional=True)] = None
) -> Result:
    """Write down what was given, if anything was."""
    chosen.write_text(source.read_text() if source else "nothing")
    return Result()


def linger(kept: Output) -> Result:
    """Ask to be ended, and read what was written until it is gone."""
    kept.write_text("here")
    os.kill(os.getpid(), signal.SIGTERM)
    while True:
        kept.read_text()


def occupy(
    place: Annotated[str, text("Folder of the world")],
    seconds: Annotated[int, whole_number("How long it takes to leave [s]")] = 0,
) -> Result:
    """Make folders that are not artifacts, one of them a scratch folder, and ask to be ended within."""
    tempfile.tempdir = place

    def leave(name: str) -> None:
        time.sleep(seconds)
        (Path(place) / name).rmdir()

    with ending.taking_back(lambda: leave("a")), ending.taking_back(lambda: leave("b")):
        for name in ("a", "b"):
            (Path(place) / name).mkdir()
        with ending.taking_back(lambda: leave("never made")), ending.scratch() as scratch:
            (scratch / "a file").write_text("no longer than the step")
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
    return Result()


@app.question("--list-toys")
def toys(_: str) -> str:
    """List the toys."""
    return "bear, ball"


@app.question("--explain", about="TOY")
def explain(toy: str) -> str:
    """Explain a toy."""
    if toy not in {"bear", "ball"}:
        raise UsageError(f"--explain: found {toy!r}, allowed bear, ball", found=toy)
    return f"what a {toy} is"


app.step("count")(count)
app.step("recount")(count)
app.step("tell-all")(tell_all)
app.step("look", of_the_world=True)(look)
app.step("tell")(tell)
app.step("hand")(hand)
app.step("choose")(choose)
app.step("linger")(linger)
app.step("occupy", of_the_world=True)(occupy)

if __name__ == "__main__":
    app()

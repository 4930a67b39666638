"""Benches take turns, each in a process of its own; what one told is kept as soon as it ends.

An interrupted run is gone on with: its benches that are done are not measured again, if code and machine are the same.
"""

import fcntl
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from _folder import Bench
from _report import EX_UNAVAILABLE, machine
from _results import (
    DONE,
    FAILED,
    SKIPPED,
    Entry,
    NoResults,
    checked,
    read_entry,
    same_machine,
    write_entry,
    write_whole,
)

HERE = Path(__file__).parent
HOUSE = HERE.parent
_TOLD_EVERY_S, _POLL_S = 60.0, 0.2
# A bench that is told to end stops its servers and removes what it made; then it is made to.
_ENDS = ((signal.SIGINT, 20.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))


class Refused(Exception):
    """Nothing was measured; says why and what to do."""


@dataclass(frozen=True)
class Turns:
    """A run of benches: what is measured, and the folder that keeps its entries."""

    folder: Path
    quick: bool
    revision: str
    limit_s: float
    say: Callable[[str], None]

    def interrupted(self) -> tuple[str, list[str]]:
        """Name and benches of the run that was begun last; refused where its figures would be of something else."""
        if not self._run.is_file():
            raise Refused("there is no run to go on with: leave --resume out")
        told = json.loads(self._run.read_text(encoding="utf-8"))
        if told["revision"] != self.revision:
            raise Refused(f"the code was {told['revision']} and is {self.revision}: leave --resume out to begin anew")
        if not same_machine(told["machine"], machine()):
            raise Refused("the run was begun on another machine: leave --resume out to begin anew")
        return str(told["run"]), list(told["benches"])

    def take(self, benches: Sequence[Bench], run: str | None) -> list[Entry]:
        """One after another, as a new run or going on with one, whose entries that are done are taken as they are."""
        entries = list[Entry]()
        with self._alone() as guard:
            for left in self.folder.glob("*-*/"):  # of a run that was killed
                shutil.rmtree(left, ignore_errors=True)
            run = run or self._begin(benches)
            for at, bench in enumerate(benches):
                kept = self._kept(bench)
                if kept and kept.run == run and kept.status == DONE:
                    self.say(f"{bench.name}: done before, in {_clock(kept.seconds)}")
                else:
                    kept = self._one(bench, run, guard, [f"[{at + 1}/{len(benches)}]", self._left(benches[at + 1 :])])
                    write_entry(self.folder / f"{bench.name}.json", kept)
                entries.append(kept)
        return entries

    def forecast_s(self, bench: Bench) -> float | None:
        """Seconds that it took the last time."""
        kept = self._kept(bench)
        return kept.seconds if kept and kept.status == DONE else None

    def _begin(self, benches: Sequence[Bench]) -> str:
        run = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
        told = {"run": run, "quick": self.quick, "revision": self.revision, "machine": machine()}
        write_whole(self._run, json.dumps({**told, "benches": [bench.name for bench in benches]}, indent=1) + "\n")
        return run

    @property
    def _run(self) -> Path:
        return self.folder / "run.json"

    def _kept(self, bench: Bench) -> Entry | None:
        """What it told the last time; what cannot be read is as if it had not been."""
        try:
            return read_entry(self.folder / f"{bench.name}.json")
        except NoResults:
            return None

    def _left(self, benches: Sequence[Bench]) -> str:
        if not benches:
            return "the last one"
        known = [self.forecast_s(bench) for bench in benches]
        about = sum(each for each in known if each is not None)
        more = " or more" if None in known else ""
        after = f", about {_clock(about)}{more}" if about else ""
        return f"then {', '.join(bench.name for bench in benches)}{after}"

    def _one(self, bench: Bench, run: str, guard: IO[str], words: list[str]) -> Entry:
        self.say(f"{words[0]} {bench.name}: {bench.measures}")
        log = self.folder / f"{bench.name}.log"
        at, start, before_s = datetime.now(UTC), time.perf_counter(), _cpu_s()
        own = Path(tempfile.mkdtemp(dir=self.folder, prefix=f"{bench.name}-"))
        try:
            with log.open("w", encoding="utf-8") as diary, (own / "told").open("w+", encoding="utf-8") as told:
                code = self._child(bench, own, (diary, told, guard), words)
                told.seek(0)
                printed = told.read()
        finally:
            shutil.rmtree(own, ignore_errors=True)
        seconds = time.perf_counter() - start
        status, why, found = self._ended(bench, code, printed, _last_line(log, own))
        entry = Entry(
            bench=bench.name,
            status=status,
            quick=self.quick,
            at=f"{at:%Y-%m-%d %H:%M}",
            revision=self.revision,
            seconds=round(seconds, 1),
            cpu_s=round(_cpu_s() - before_s, 1),
            machine=found.get("machine") or machine(),
            measures=bench.measures,
            beside=bench.beside,
            why=why,
            run=run,
            notes=found.get("notes") or {},
            missing=found.get("missing") or {},
            figures=found.get("figures") or [],
        )
        more = f": {why}" if why else f", {len(entry.figures)} figures"
        self.say(f"{words[0]} {bench.name} {status} after {_clock(seconds)}{more}")
        if status == FAILED:
            self.say(f"    what it said is in {log}")
        return entry

    def _child(self, bench: Bench, own: Path, files: tuple[IO[str], IO[str], IO[str]], words: list[str]) -> int | None:
        """Run it to its end; its exit status, or None where it took longer than it may."""
        diary, told, guard = files
        path = os.pathsep.join([str(bench.file.parent), str(HERE), str(HOUSE)])
        command = [sys.executable, str(bench.file), "--json", *(["--quick"] if self.quick else [])]
        child = subprocess.Popen(
            command,
            cwd=HOUSE,
            env={**os.environ, "PYTHONPATH": path, "TMPDIR": str(own)},
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=diary,
            start_new_session=True,
            # Held until it ends, even if this process is killed: two at once would measure each other.
            pass_fds=[guard.fileno()],
        )
        try:
            return self._watch(child, bench, words)
        finally:
            _end(child)

    def _watch(self, child: subprocess.Popen[bytes], bench: Bench, words: list[str]) -> int | None:
        start = told_s = time.perf_counter()
        live = sys.stderr.isatty()
        while True:
            try:
                return child.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                now = time.perf_counter()
            if now - start > self.limit_s:
                return None
            line = f"{words[0]} {bench.name} {_clock(now - start)}; {words[1]}"
            if live:
                room = shutil.get_terminal_size().columns - 1
                print(f"\r\x1b[K{line[:room]}\r", end="", file=sys.stderr, flush=True)
            elif now - told_s > _TOLD_EVERY_S:
                told_s = now
                self.say(line)

    def _ended(self, bench: Bench, code: int | None, printed: str, said: str) -> tuple[str, str, dict[str, Any]]:
        """Its status, why, and what it told."""
        if code is None:
            return FAILED, f"took longer than {self.limit_s / 60:g} min, and was ended", {}
        if code == EX_UNAVAILABLE:
            return SKIPPED, said or "it did not say why", {}
        if code:
            return FAILED, f"exit status {code}: {said}", {}
        try:
            found = checked(json.loads(printed), bench.name)
        except ValueError as error:
            return FAILED, f"told no figures: {error}", {}
        if found.get("quick", False) is not self.quick:
            return FAILED, f"was to be {'quick' if self.quick else 'full'}, and told that it was not", {}
        return DONE, "", found

    @contextmanager
    def _alone(self) -> Iterator[IO[str]]:
        """No other run beside, nor a bench that is left of one that was killed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder.parent / "turns.lock").open("w") as guard:
            try:
                fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Refused("another bench is running here, or what is left of one: wait for it or end it") from None
            yield guard


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a bench and all that it started, if it has not ended."""
    for number, patience_s in _ENDS:
        if child.poll() is not None:
            break
        os.killpg(child.pid, number)
        try:
            child.wait(patience_s)
        except subprocess.TimeoutExpired:
            continue
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _last_line(log: Path, own: Path) -> str:
    """The last line of a diary, without this machine's paths."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    said = lines[-1] if lines else ""
    for place, name in ((own, "TMP"), (HOUSE, "."), (Path.home(), "~")):
        said = said.replace(str(place), name)
    return said[:300]


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"

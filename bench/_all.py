"""All benchmarks in one go: `python build.py bench [--quick]`.

Each bench of bench/ runs in a process of its own, one after another. What they told goes to bench/results.json, and
from there alone to bench/RESULTS.md and its plots; a quick run's to bench/quick. A bench whose needs are not met here
is skipped and says why. The exit status is 1 if one failed; the figures of the others are kept all the same.
"""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import _compare as compare
import _page
from _folder import Bench, benches, revision
from _report import machine
from _results import FAILED, Entry, NoResults, Results, machine_words, read, same_machine, write_whole
from _turns import HERE, HOUSE, Refused, Turns
from rich.console import Console

LIMIT_MIN, QUICK_LIMIT_MIN = 60.0, 10.0


def main(words: Sequence[str]) -> int:
    """Do what the command line says; the exit status."""
    chosen = _parser().parse_args(words)
    known = benches(chosen.benches)
    mode = "quick" if chosen.quick else "full"
    into = chosen.into or (chosen.benches / "quick" if chosen.quick else chosen.benches)
    limit_s = 60 * (chosen.limit_min or (QUICK_LIMIT_MIN if chosen.quick else LIMIT_MIN))
    turns = Turns(chosen.state / mode, chosen.quick, revision(HOUSE), limit_s, _say)
    try:
        if chosen.list:
            return _list(known, turns)
        if chosen.compare:
            return _compare(chosen.compare, into / "results.json", chosen)
        if chosen.render:
            print("\n".join(map(str, write(read(into / "results.json"), into))))
            return 0
        return _measure(chosen, known, turns, into)
    except (Refused, NoResults, compare.NotComparable) as error:
        _say(str(error))
        return 2
    except KeyboardInterrupt:
        _say("interrupted; what is done is kept: go on with the same words and --resume")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="build.py bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds, to see that all works")
    parser.add_argument("--only", metavar="NAMES", help="these alone, by commas; figures of the others stay")
    parser.add_argument("--list", action="store_true", help="what there is, what it measures, how long it took")
    parser.add_argument("--resume", action="store_true", help="go on with the run that was interrupted")
    parser.add_argument("--compare", type=Path, metavar="OLD", help="measure nothing: what changed since OLD (JSON)")
    parser.add_argument("--every", action="store_true", help="with --compare: what did not change too")
    parser.add_argument("--fail-on-worse", action="store_true", help="with --compare: exit status 1 if one is worse")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--render", action="store_true", help="measure nothing: page and plots anew from results.json")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="where RESULTS.md, results.json and plots go")
    parser.add_argument("--limit-min", type=float, metavar="N", help="a bench that takes longer has failed [min]")
    parser.add_argument("--benches", type=Path, metavar="FOLDER", default=HERE, help="where the benches are")
    parser.add_argument("--state", type=Path, metavar="FOLDER", default=HOUSE / ".brakeline" / "bench" / "turns",
                        help="where a run is kept until it is whole")  # fmt: skip
    return parser


def _measure(chosen: argparse.Namespace, known: list[Bench], turns: Turns, into: Path) -> int:
    """Take turns, then write what came out."""
    if chosen.resume:
        run, names = turns.interrupted()
    else:
        run, names = None, [bench.name for bench in known]
    wanted = _wanted(known, chosen.only.split(",") if chosen.only else names)
    stays = read(into / "results.json") if len(wanted) < len(known) and (into / "results.json").is_file() else None
    if stays:
        _must_fit(stays, chosen.quick, into)
    signal.signal(signal.SIGTERM, _interrupt)
    # A child that inherits an ignored Ctrl-C could not be ended by it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    entries = turns.take(wanted, run)
    results = _merged(entries, stays, known, chosen.quick)
    files = write(results, into)
    if chosen.json:
        print(results.text(), end="")
    else:
        print("\n".join(map(str, files)))
    failed = [entry.bench for entry in entries if entry.status == FAILED]
    if failed:
        _say(f"failed: {', '.join(failed)}; try them again with --resume")
    return 1 if failed else 0


def _wanted(known: list[Bench], names: list[str]) -> list[Bench]:
    by_name = {bench.name: bench for bench in known}
    if unknown := [name for name in names if name not in by_name]:
        raise Refused(f"no bench is called {', '.join(unknown)}; there are {', '.join(by_name)}")
    if not names:
        raise Refused("there is no bench")
    return [bench for bench in known if bench.name in names]


def _must_fit(stays: Results, quick: bool, into: Path) -> None:
    """Figures that stay beside new ones must be of their kind, and of this machine."""
    if stays.quick is not quick:
        raise Refused(f"{into} has {'quick' if stays.quick else 'full'} figures, which do not mix: give another --into")
    if not same_machine(stays.machine, machine()):
        told = machine_words(stays.machine)
        raise Refused(f"{into} has figures of another machine ({told}): measure all here, or give another --into")


def _merged(entries: list[Entry], stays: Results | None, known: list[Bench], quick: bool) -> Results:
    names, taken = {bench.name for bench in known}, {entry.bench for entry in entries}
    kept = [entry for entry in stays.entries if entry.bench in names - taken] if stays else []
    return Results(quick, machine(), sorted([*entries, *kept], key=lambda entry: entry.bench))


def write(results: Results, into: Path) -> list[Path]:
    """results.json, and all that is made of it."""
    # Drawing is of no use to `--list` or to a bench.
    import _plots  # noqa: PLC0415

    write_whole(into / "results.json", results.text())
    plots = _plots.drawn(results)
    files = {name: svg for name, _, svg in plots.values()}
    files["RESULTS.md"] = _page.text(results, {bench: (name, words) for bench, (name, words, _) in plots.items()})
    for name, content in files.items():
        write_whole(into / name, content)
    for stale in {file.name for file in into.glob("*.svg")} - files.keys():
        (into / stale).unlink()
    return [into / name for name in ("results.json", *files)]


def _compare(old: Path, new: Path, chosen: argparse.Namespace) -> int:
    before, now = read(old), read(new)
    found = compare.changes(before, now)
    elsewhere = not same_machine(before.machine, now.machine)
    told = [change for change in found if change.is_told or chosen.every]
    if chosen.json:
        print(json.dumps({"same_machine": not elsewhere, "figures": compare.facts(found)}, ensure_ascii=False))
    else:
        Console(width=None if sys.stdout.isatty() else 200).print(compare.table(told))
        still = sum(not change.is_told for change in found)
        print(f"{still} of {len(found)} figures are as they were, within the spread of their rounds")
    for one, words in ((before, "old"), (now, "new")):
        _say(f"{words}: {machine_words(one.machine)}; {', '.join(dict.fromkeys(e.revision for e in one.entries))}")
    if elsewhere:
        _say("measured on different machines: what differs may be theirs, and nothing is called better or worse")
    worse = [change for change in found if change.is_worse]
    if worse:
        _say(f"worse: {', '.join(f'{each.bench}: {each.name}' for each in worse)}")
    return 1 if chosen.fail_on_worse and (worse or elsewhere) else 0


def _list(known: list[Bench], turns: Turns) -> int:
    for bench in known:
        took = turns.forecast_s(bench)
        print(f"{bench.name:12} {bench.measures}{f' ({took:.0f} s the last time)' if took else ''}")
    return 0


def _say(message: str) -> None:
    print(f"\r\x1b[K{message}" if sys.stderr.isatty() else message, file=sys.stderr, flush=True)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`docs/faults.md` from the coverage: `python -m tests.faults.page` writes it, and a test holds it up to date."""

from pathlib import Path

from tests.faults.coverage import KINDS, ROWS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
HEAD = """# Faults

What is tried, and where. After each fault there is nothing half-written, nothing lost, nothing doubled and no wrong
answer; the error, where there is one, names the file or the service and says what to do, with the exit status of
`steps/README.md`; and the same call again ends as if nothing had happened. Each is a test.

A test run counts them: faults tried, survived, data lost, wrong answers, requests that failed meanwhile. The table
stands at the end of what `python build.py test --all` prints, and in `.faults.json`. Lost and wrong have to be 0. A
test of a full disk mounts a small one, and one of a clock takes Debian's libfaketime; where that cannot be had it is
skipped, and counted as skipped.

This page is written by `python -m tests.faults.page` and held to the tests by one of them.

## Kinds
"""
TAIL = """
## What is not found

- A single file that is handed to a step by hand, as `--dataset part.parquet`, tells nobody what it should be: a byte
  that is flipped in the middle of a Parquet file may be another number. In the pipeline, and in a folder as a step
  made it, it is found.
- The embedded registry keeps no checksums of its rows. A figure that was altered in it is told as it stands; a model
  or a paper is not, since each is held to its sha256 when it is read.
- Memory that errs, and a machine that loses what it said is on the disk.
"""


def text() -> str:
    """The page."""
    kinds = [f"- **{kind}**: {what}" for kind, what in KINDS.items()]
    places = list(dict.fromkeys(row.place for row in ROWS))
    head, line = f"| place | {' | '.join(KINDS)} |", "|---" * (len(KINDS) + 1) + "|"
    listed = ["", "## Where each is tried", "", head, line]
    for place in places:
        counts = {row.kind: len(row.names) for row in ROWS if row.place == place}
        listed.append(f"| {place} | " + " | ".join(str(counts.get(kind, "")) for kind in KINDS) + " |")
    listed += ["", "The numbers are tests; most of them try several faults."]
    for row in ROWS:
        listed += ["", f"### {place_of(row.place)}: {row.kind}", ""]
        listed += [f"- `tests/{name.partition('::')[0]}` {words(name)}" for name in row.names]
    return "\n".join([HEAD, *kinds, *listed]) + "\n" + TAIL


def words(name: str) -> str:
    """A test's name as a sentence's words."""
    return name.partition("::test_")[2].replace("_", " ")


def place_of(place: str) -> str:
    """A place as a heading begins with it."""
    return place[0].upper() + place[1:]


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")

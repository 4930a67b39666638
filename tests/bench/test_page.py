"""RESULTS.md and its plots: made of results.json alone, with what falls short first and no time told as a fact."""

import re
from dataclasses import replace

import _page
import _plots
import _results
import pytest

from tests.bench.conftest import Room
from tests.bench.test_compare import MACHINE, entry, figure, results
from tests.conftest import HOUSE

COMMITTED = HOUSE / "bench" / "results.json"


def of(unit: str, name: str = "f") -> dict[str, object]:
    return {**figure([1.0, 2.0], name=name), "unit": unit}


@pytest.mark.skipif(not COMMITTED.is_file(), reason="no results are committed: `python build.py bench` writes them")
def test_the_committed_page_is_that_of_the_committed_results() -> None:
    """Byte for byte, and every plot that it shows is there."""
    kept = _results.read(COMMITTED)
    assert not kept.quick
    assert kept.text() == COMMITTED.read_text(encoding="utf-8")
    plots = {bench: (name, words) for bench, (name, words, _) in _plots.drawn(kept).items()}
    page = (HOUSE / "bench" / "RESULTS.md").read_text(encoding="utf-8")
    assert _page.text(kept, plots) == page
    for name, _ in plots.values():
        assert (HOUSE / "bench" / name).is_file()


def test_page_and_plots_are_made_anew_from_the_results(room: Room) -> None:
    """--render gives the same bytes, runs nothing, and removes a plot that has no figures any more."""
    room.bench("one", "")
    room.call()
    before = {file.name: file.read_bytes() for file in room.folder.iterdir() if file.suffix in {".md", ".svg", ".json"}}
    assert before.keys() == {"RESULTS.md", "aims.svg", "results.json"}
    (room.folder / "RESULTS.md").unlink()
    (room.folder / "serving.svg").write_text("of an older run")
    assert room.call("--render").returncode == 0
    assert before == {name: (room.folder / name).read_bytes() for name in before}
    assert not (room.folder / "serving.svg").exists()
    assert room.runs("one") == 1


def test_aims_are_counted_and_those_that_fall_short_are_listed() -> None:
    """With value, rounds and aim; what is met is not in that list."""
    kept = results(entry("b", figure([1.0, 2.0, 3.0], ">= 1", met=True, name="good"),
                         figure([1.0, 2.0, 3.0], ">= 9", met=False, name="lacking")))  # fmt: skip
    page = _page.text(kept, {})
    aims = page.partition("## Aims")[2].partition("\n## ")[0]
    assert "1 of 2 aims are met." in aims
    assert "| b | lacking | 2 | 1 to 3 in 3 | ≥ 9, **short** | ratio |" in aims
    assert "good" not in aims


@pytest.mark.parametrize(
    ("unit", "absolute"),
    [
        *((unit, True) for unit in ("s", "ms", "µs", "us, p50", "us of CPU per request", "rows/s", "requests/s")),
        *((unit, False) for unit in ("ratio", "ratio of rows/s", "ratio of p50", "share of 90 s", "MB", "sabotages")),
    ],
)  # fmt: skip
def test_times_and_rates_stand_apart_as_this_machines(unit: str, absolute: bool) -> None:
    """Behind a line that names the day; ratios, shares, sizes and counts do not."""
    page = _page.text(results(entry("b", of("ratio", "first"), of(unit, "asked"))), {})
    before, apart, _ = page.partition("Of this machine on 2026-01-02")
    assert bool(apart) is absolute
    assert ("| asked |" in before) is not absolute


def test_machine_day_code_and_programs_are_told() -> None:
    """Each once, on top."""
    kept = results(replace(entry("b", figure([1.0])), seconds=120.0))
    page = _page.text(replace(kept, machine={**MACHINE, "versions": {"numpy": "9.9"}}), {})
    head = page.partition("## Aims")[0]
    for told in ("a cpu, 2 cores, 8 GB, Linux", "Python 3.11.7, numpy 9.9", "2026-01-02 03:04 UTC", "`abc`", "2 min"):
        assert head.count(told) == 1


def test_a_family_is_one_line_with_its_members_folded_away() -> None:
    """Least, greatest, and how many of its aims are met; members are all there, once."""
    members = [figure([float(at)], "<= 2", met=at <= 2, name=f"missed, slice {at}") for at in range(1, 6)]
    page = _page.text(results(entry("b", *members)), {}).partition("## b")[2]
    assert "| missed: 5 figures | 1 to 5 |  | ≤ 2 (2 of 5 met) | ratio |" in page
    folded = page.partition("<details>")[2]
    assert re.findall(r"slice (\d)", folded) == list("12345")
    assert "slice" not in page.partition("<details>")[0]


def test_families_are_found_on_either_side_of_a_colon() -> None:
    """Members may have an aim each, but not one with an aim and one without; what is alone keeps its name."""
    figures = [figure([1.0], name=f"{image}: size") for image in ("train", "deploy")]
    figures += [
        figure([1.0], aim, met=True, name=f"missed under {fault}") for fault, aim in (("a", "<= 2"), ("b", "<= 3"))
    ]
    figures += [figure([1.0], name="serving: start"), figure([1.0], "<= 2", met=True, name="serving: size")]
    found = [(name, len(members)) for name, members in _page.families(figures)]
    assert found == [("size", 2), ("missed", 2), ("serving: start", 1), ("serving: size", 1)]


def test_what_a_bench_says_cannot_break_the_page() -> None:
    """Bars and angle brackets in names and reasons stay in their cells."""
    kept = results(entry("b", figure([1.0], name="a | <b>")), entry("c", status="failed", why="<x> | y"))
    page = _page.text(kept, {})
    assert "| a \\| &lt;b> |" in page
    assert "**failed**: &lt;x> \\| y" in page


def test_a_plot_has_the_same_bytes_again_and_none_is_drawn_of_nothing() -> None:
    """Each is an SVG of the results alone; a bench without figures has none."""
    kept = results(
        entry("model", figure([0.97, 0.98], ">= 0.98", met=False, name="efficiency, all"),
              figure([0.5], name="baseline's efficiency: formula")),
        entry("serving", *({**figure([value], name=f"{server}, 16 connections"), "unit": "requests/s"}
                           for server, value in (("ours", 5e4), ("echo", 1e5)))),
        entry("gate", *(figure([value], name=f"mutants of trees refused / all, {share} changed, probes too")
                        for share, value in (("0.01%", 0.2), ("1.00%", 1.0)))),
    )  # fmt: skip
    once, again = _plots.drawn(kept), _plots.drawn(kept)
    assert once == again
    assert once.keys() == {"", "model", "gate", "serving"}
    for _, _, svg in once.values():
        assert svg.startswith("<svg")
        assert "<path" in svg
    assert _plots.drawn(results(entry("b", figure([1.0])))) == {}


@pytest.mark.parametrize(
    ("value", "aim", "times"),
    [(4.0, ">= 2", 2.0), (1.0, ">= 2", 0.5), (1.0, "<= 2", 2.0), (4.0, "<= 2", 0.5), (0.0, "<= 0", 1.0),
     (0.1, "<= 0", 0.05), (0.0, "<= 1", 20.0), (900.0, ">= 1", 20.0), (0.0, ">= 1", 0.05)],
)  # fmt: skip
def test_a_figure_is_placed_by_how_much_better_than_its_aim_it_is(value: float, aim: str, times: float) -> None:
    """1 is the aim, right of it is better, whichever way the aim points; zeros and giants are at the edge."""
    assert _plots.beyond({"value": value, "aim": aim}) == pytest.approx(times)

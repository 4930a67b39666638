"""The dossier as people meet it: in a browser, on a desk, a phone, at night and on paper."""

import json
import math
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from brakeline_validate import dossier, gates
from brakeline_validate.case import Case
from brakeline_validate.examine import Findings
from playwright.sync_api import Page

from tests.browser import Visits
from tests.conftest import Chain
from tests.validate.sabotages import graphs
from tests.validate.sabotages.attempt import cut

DESK = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
# A4 less the margins that the page asks for, at CSS' 96 dots an inch.
PAPER = {"width": 695, "height": 1016}

Open = Callable[..., Page]

OPEN_ALL = "document.querySelectorAll('details').forEach(each => each.open = true)"
# What sticks out to the right, but for what lies in a box that scrolls by itself.
STICKING_OUT = """() => [...document.querySelectorAll('body *')]
    .filter(each => !each.closest('.scroll') && !each.closest('svg'))
    .filter(each => each.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
    .map(each => each.tagName + ' ' + each.className + ': ' + each.textContent.slice(0, 40))"""
CONTRAST = """([selector, property]) => {
    const numbers = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(each => each / 255);
    const light = colour => numbers(colour).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
    const paper = light(getComputedStyle(document.body).backgroundColor);
    const ink = light(getComputedStyle(document.querySelector(selector))[property]);
    return [paper, (Math.max(paper, ink) + 0.05) / (Math.min(paper, ink) + 0.05)];
}"""


@pytest.fixture(scope="module")
def pages(good: Chain, tiny: Chain, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Dossiers that steps wrote, under names that a browser knows for pages."""
    folder = tmp_path_factory.mktemp("pages")
    for name, chain in (("passed", good), ("refused", tiny)):
        (folder / f"{name}.html").write_bytes(chain.dossier.read_bytes())
    return {name: folder / f"{name}.html" for name in ("passed", "refused")}


@pytest.fixture
def opened(visit: Visits, pages: dict[str, Path]) -> Open:
    """Open one of the dossiers; at the end it has asked nobody and has raised no error."""
    return lambda name, **options: visit(pages[name].as_uri(), **options)


@pytest.fixture(scope="module")
def case(tiny: Chain) -> Case:
    return Case.read(tiny.model, tiny.holdout, tiny.faulty, tiny.floor, tiny.champion, runs=1)


@pytest.fixture(scope="module")
def findings(case: Case) -> Findings:
    return case.examine()


def verdict(chain: Chain) -> dict[str, Any]:
    return dict(json.loads(chain.verdict.read_text()))


@pytest.mark.parametrize("name", ["passed", "refused"])
def test_it_is_one_file_that_asks_nobody(name: str, opened: Open, pages: dict[str, Path]) -> None:
    """No request, no error in the console, no script; what is not there it may not load either."""
    page = opened(name, viewport=DESK)
    assert page.title() == f"Brakeline dossier: {name}"
    assert page.locator("script, img, iframe, object, embed, link[rel=stylesheet]").count() == 0
    policy = page.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert pages[name].stat().st_size < 1_500_000


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize(("name", "word"), [("passed", "Passed"), ("refused", "Refused")])
def test_the_verdict_is_seen_first(
    name: str, word: str, size: dict[str, int], opened: Open, good: Chain, tiny: Chain
) -> None:
    """Without scrolling: passed or refused, how many gates, and whether the model is one of many."""
    page = opened(name, viewport=size)
    judged = verdict({"passed": good, "refused": tiny}[name])["gates"]
    assert page.locator("h1").inner_text() == word
    header = page.locator("header")
    told = " ".join(header.inner_text().split())
    assert f"{sum(gate['passed'] for gate in judged)} of {len(judged)} gates passed" in told
    assert "judged on its dataset" in told
    for sentence in header.locator("> p").all():
        box = sentence.bounding_box()
        assert box is not None
        assert 0 <= box["y"] < box["y"] + box["height"] <= size["height"]


def test_failed_gates_are_named_on_top_with_found_and_allowed(opened: Open, tiny: Chain) -> None:
    """Each of them, and the first within the first screen; in the table they come first, with their explanation."""
    page = opened("refused", viewport=DESK)
    failed = [gate["name"] for gate in verdict(tiny)["gates"] if not gate["passed"]]
    assert len(failed) > 5
    listed = page.locator("header .failures li")
    assert listed.locator("b").all_inner_texts() == failed
    assert all("found" in told and "allowed" in told for told in listed.all_inner_texts())
    first = listed.first.bounding_box()
    assert first is not None
    assert first["y"] + first["height"] < DESK["height"]
    rows = page.locator(".gates tr.failed td.name b")
    assert rows.all_inner_texts() == failed
    assert page.locator(".gates td.name").first.inner_text().startswith(failed[0])
    assert page.locator(".gates tr.why dl").count() == len(failed)


@pytest.mark.parametrize("name", ["passed", "refused"])
def test_every_gate_and_every_scenario_is_on_it(name: str, opened: Open, good: Chain, tiny: Chain) -> None:
    """Each gate once, by subject; each scenario with the counts that the verdict has."""
    told = verdict({"passed": good, "refused": tiny}[name])
    page = opened(name, viewport=DESK)
    named = page.locator(".gates td.name summary, .gates td.name > b").all_inner_texts()
    assert sorted(named) == sorted(gate["name"] for gate in told["gates"])
    assert len(named) == len(gates.TABLE) + 1
    page.evaluate(OPEN_ALL)
    rows = {
        row.locator("td.name").inner_text(): row.inner_text().split("\t")
        for row in page.locator("#loop ~ details tr:has(td), #negative + p + table tr:has(td)").all()
    }
    scenarios = told["closed_loop"]["scenarios"]
    assert rows.keys() == scenarios.keys()
    for scenario, found in scenarios.items():
        rate = found["contact"] if found["positive"] else found["nuisance"]
        assert f"{rate['hits']} of {rate['runs']}" in [cell.strip() for cell in rows[scenario]], scenario


@pytest.mark.parametrize("width", [390, 600, 800, 960, 1100])
@pytest.mark.parametrize("name", ["passed", "refused"])
def test_nothing_sticks_out_at_any_width(name: str, width: int, opened: Open) -> None:
    """No scrolling to the side, with everything opened."""
    page = opened(name, viewport={"width": width, "height": 800})
    page.evaluate(OPEN_ALL)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(STICKING_OUT) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_by_day_and_by_night(scheme: str, opened: Open) -> None:
    """The paper is of the scheme, and text, faint text and lines stand out from it (WCAG's 7, 4.5 and 3 to 1)."""
    page = opened("refused", viewport=DESK, color_scheme=scheme)
    for selector, kind, least in (
        ("main", "color", 7.0),
        ("small", "color", 4.5),
        ("b.bad", "color", 4.5),
        ("svg.figure text", "fill", 4.5),
        ("svg.figure .median", "stroke", 3.0),
        ("svg.row .limit", "stroke", 3.0),
        (".cross", "stroke", 3.0),
    ):
        paper, contrast = page.evaluate(CONTRAST, [selector, kind])
        assert (paper > 0.9) if scheme == "light" else (paper < 0.1)
        assert contrast >= least, (selector, contrast)


@pytest.mark.parametrize("name", ["passed", "refused"])
def test_it_prints_whole(name: str, opened: Open) -> None:
    """On white, no table cut by the margin or within a row, heads repeated, evidence unfolded; and it is a PDF."""
    page = opened(name, viewport=PAPER, color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate(STICKING_OUT) == []
    wide = "[...document.querySelectorAll('.scroll')].filter(each => each.scrollWidth > each.clientWidth + 1).length"
    assert page.evaluate(wide) == 0
    styles = "[...document.querySelectorAll('tr')].map(each => getComputedStyle(each).breakInside)"
    assert set(page.evaluate(styles)) == {"avoid"}
    heads = "[...document.querySelectorAll('thead')].map(each => getComputedStyle(each).display)"
    assert set(page.evaluate(heads)) == {"table-header-group"}
    paper, contrast = page.evaluate(CONTRAST, ["main", "color"])
    assert paper == 1.0
    assert contrast > 15.0
    for each in page.locator("details.more table").all():
        assert each.is_visible()
        box = each.bounding_box()
        assert box is not None
        assert box["height"] > 100
    assert not page.locator("nav").is_visible()
    printed = page.pdf(format="A4", prefer_css_page_size=True)
    assert printed.startswith(b"%PDF-")
    assert 8 <= printed.count(b"/Type /Page\n") <= 24


def test_a_gate_explains_itself_on_demand(opened: Open) -> None:
    """Folded at first; by keyboard its measure, limit and remedy are told."""
    page = opened("passed", viewport=DESK)
    gate = page.locator(".gates details").filter(has_text="bound missed, worst pair")
    assert not gate.locator("dl").is_visible()
    gate.locator("summary").focus()
    page.keyboard.press("Enter")
    assert gate.locator("dl").is_visible()
    assert gate.locator("dt").all_inner_texts() == ["measured", "limit", "if it fails", "hurt"]


def test_the_plots_are_on_it(opened: Open, good: Chain) -> None:
    """Four roads, a strip for each slice, scenario and fault, and the worst runs with their moments."""
    page = opened("passed", viewport=DESK)
    roads = page.locator("#distances ~ .figures").first.locator("svg")
    assert [(each.get_attribute("aria-label") or "").split()[0] for each in roads.all()] == [
        "dry",
        "wet",
        "snow",
        "ice",
    ]
    assert [roads.nth(at).locator(".cross").count() for at in range(4)] == [6, 6, 0, 0]
    told = verdict(good)
    slices = sum(score["rows"] > 0 for score in told["observable"].values())
    assert page.locator("#slices + p + p + table svg.row").count() == slices
    surfaces = page.locator("#truths + p + table td.name").all_inner_texts()
    assert [f"surface: {name}" for name in surfaces] == [name for name in told["by_truth"] if "surface" in name]
    positive = sum(each["positive"] for each in told["closed_loop"]["scenarios"].values())
    assert page.locator("table.hits td.strip svg.row").count() == positive
    assert page.locator("#faults + p + p + table svg.row").count() == len(told["under_fault"])
    films = page.locator("#films ~ .figures figure")
    assert "Closest shave" in films.locator("h3").all_inner_texts()
    for film in films.all():
        assert film.locator("path.median").count() == 3
        moments = film.locator(".film td:first-child").all_inner_texts()
        marks = [
            each.split()[0] for each in film.locator("text.warning, text.braking, text.contact").all_text_contents()
        ]
        assert [name for name in moments if name in ("warning", "braking", "contact")] == marks


def test_a_model_for_another_contract_has_a_page_too(tiny: Chain, visit: Visits, tmp_path: Path) -> None:
    """Refused by its contract, with lineage and limits, and no plot of what was not asked."""
    shutil.copytree(tiny.model, tmp_path / "model")
    graph = onnx.load(tmp_path / "model" / "model.onnx")
    for entry in graph.metadata_props:
        if entry.key == "brakeline.contract":
            entry.value = entry.value.replace('"high":70.0', '"high":71.0')
    onnx.save(graph, tmp_path / "model" / "model.onnx")
    stale = Case.read(tmp_path / "model", tiny.holdout, tiny.faulty, tiny.floor, tiny.champion, runs=1)
    dossier.write(tmp_path / "page.html", stale.examine(), stale)
    page = visit((tmp_path / "page.html").as_uri(), viewport=DESK)
    assert page.locator("h1").inner_text() == "Refused"
    assert page.locator(".failures b").all_inner_texts() == ["contract"]
    assert page.locator("svg").count() == 0
    assert stale.model.sha256 in page.locator(".lineage").inner_text()
    for link in page.locator("nav a").all():
        assert page.locator(str(link.get_attribute("href"))).count() == 1


@pytest.mark.parametrize(
    ("output", "factor"),
    [(graphs.UPPER, math.nan), (graphs.UPPER, math.inf), (graphs.UPPER, 1e30), (graphs.MEDIAN, -1.0)],
)
def test_impossible_answers_have_a_page_too(
    output: str, factor: float, tiny: Chain, visit: Visits, tmp_path: Path
) -> None:
    """Whatever a refused model says: the page tells that it is refused, and draws what can be drawn."""
    model = cut(graphs.scaled(output, factor))(tiny, tmp_path).model
    case = Case.read(model, tiny.holdout, tiny.faulty, tiny.floor, tiny.champion, runs=1)
    dossier.write(tmp_path / "page.html", case.examine(), case)
    page = visit((tmp_path / "page.html").as_uri(), viewport=PHONE)
    assert page.locator("h1").inner_text() == "Refused"
    assert page.evaluate(STICKING_OUT) == []
    assert page.locator("#distances ~ .figures").first.locator("svg").count() == 4
    drawn = page.locator("svg.figure, svg.row").evaluate_all("all => all.map(each => each.outerHTML).join()")
    assert not re.search(r"=\"[^\"]*\b(nan|inf)\b", re.sub(r"aria-label=\"[^\"]*\"", "", drawn))


def test_what_a_model_says_of_itself_is_text(case: Case, findings: Findings, visit: Visits, tmp_path: Path) -> None:
    """Its training may hold anything; nothing of it becomes a part of the page."""
    hostile = "<script>alert(1)</script><img src=http://192.0.2.1/x onerror=alert(1)>"
    model = replace(case.model, training={"dataset_sha256": hostile, hostile: {"a": [hostile]}})
    dossier.write(tmp_path / "page.html", findings, replace(case, model=model))
    page = visit((tmp_path / "page.html").as_uri())
    assert page.locator("script, img").count() == 0
    assert page.locator(".lineage").inner_text().count(hostile) == 3


def test_the_same_case_is_the_same_page_in_little_time(case: Case, findings: Findings, tmp_path: Path) -> None:
    """Byte for byte, and within six seconds of a processor."""
    begun = time.process_time()
    dossier.write(tmp_path / "one", findings, case)
    assert time.process_time() - begun < 6.0
    dossier.write(tmp_path / "other", findings, case)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()

"""The page at `/`, in a real browser, before a real server and a model that the real steps made."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.browser import Visits
from tests.serving.conftest import NAME, Server, settle

MISSING = "– m"


@pytest.fixture
def page(visit: Visits, served: Server) -> Page:
    """The page, settled."""
    opened = visit(served.url + "/")
    settle(opened)
    return opened


def contract(server: Server) -> dict[str, Any]:
    return dict(server.ask("GET", f"/v2/models/{NAME}").json["parameters"]["contract"])


def named(server: Server, role: str) -> str:
    return str(next(feature["name"] for feature in contract(server)["features"] if feature["role"] == role))


def field(page: Page, server: Server, role: str) -> Any:
    return page.locator(f"#value-{named(server, role)}")


def values(page: Page, server: Server) -> dict[str, float | None]:
    """What the panel is set to, as a person reads it."""
    shown = {
        each["name"]: page.locator(f"#value-{each['name']}").input_value() for each in contract(server)["features"]
    }
    return {name: float(text) if text else None for name, text in shown.items()}


def answers(server: Server, said: dict[str, float | None]) -> dict[str, float | None]:
    """What the API answers to one row, by output."""
    inputs = [{"name": name, "shape": [1, 1], "datatype": "FP32", "data": [value]} for name, value in said.items()]
    reply = server.ask("POST", f"/v2/models/{NAME}/infer", json.dumps({"inputs": inputs}).encode()).json
    return {output["name"]: output["data"][0] for output in reply["outputs"]}


def shown_as(value: float | None) -> str:
    return MISSING if value is None else f"{value:.0f} m" if abs(value) >= 1000 else f"{value:.1f} m"


def expect_the_apis_answer(page: Page, server: Server) -> None:
    """Median and bound on the page are what the API answers to what the panel is set to."""
    found = answers(server, values(page, server))
    expect(page.locator("[data-output=median] b")).to_have_text(shown_as(found["stopping_distance_m"]))
    expect(page.locator("[data-output=bound] b")).to_have_text(shown_as(found["stopping_distance_upper_m"]))


def infers(page: Page) -> list[Request]:
    """Grows with every inference that the page asks for."""
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request) if request.url.endswith("/infer") else None)
    return asked


def body_of(request: Request) -> dict[str, Any]:
    return dict(json.loads(request.post_data or ""))


def test_it_shows_the_live_model_and_its_contract(page: Page, served: Server) -> None:
    """Name, version, sha256, training and every feature, as the metadata have them; and that it certifies nothing."""
    told = served.ask("GET", f"/v2/models/{NAME}").json["parameters"]
    expect(page.locator("#state")).to_have_text("Live: version 1")
    facts = page.locator("#facts").inner_text()
    assert told["sha256"] in facts
    assert told["training"]["dataset_sha256"] in facts
    rows = [row.split("\t") for row in page.locator("#contract tbody").inner_text().split("\n")]
    assert [(row[0], row[1], row[2], row[4]) for row in rows] == [
        (each["name"], each["description"], each["unit"], "yes" if each["missing_allowed"] else "no")
        for each in told["contract"]["features"]
    ]
    expect(page.locator("header")).to_contain_text("certifies nothing")


@pytest.mark.parametrize("preset", ["Dry", "Wet", "Snow", "Ice", "Radar off", "As at first"])
def test_each_preset_shows_what_the_api_answers(page: Page, served: Server, preset: str) -> None:
    """A preset sets the sensors, and the numbers follow."""
    page.get_by_role("button", name=preset).click()
    settle(page)
    expect_the_apis_answer(page, served)
    gone = {each["role"] for each in contract(served)["features"] if values(page, served)[each["name"]] is None}
    assert gone == ({"range", "range_rate"} if preset == "Radar off" else set())


def test_sliders_and_fields_move_the_numbers(page: Page, served: Server) -> None:
    """Both set the same value, and each shows what the other set."""
    before = page.locator("[data-output=median] b").inner_text()
    page.get_by_label("Speed, slider").fill("33.5")
    expect(field(page, served, "speed")).to_have_value("33.5")
    settle(page)
    assert page.locator("[data-output=median] b").inner_text() != before
    expect_the_apis_answer(page, served)
    field(page, served, "speed").fill("12")
    expect(page.get_by_label("Speed, slider")).to_have_value("12")
    expect(page.locator("#sensors")).to_contain_text("43 km/h, 27 mph")
    settle(page)
    expect_the_apis_answer(page, served)


def test_a_missing_sensor_is_asked_as_missing(page: Page, served: Server) -> None:
    """The box sends null, what cannot be said is shown as a dash, and the last value comes back with the sensor."""
    asked = infers(page)
    box = page.get_by_label("Range: missing")
    box.check()
    expect(field(page, served, "range")).to_be_disabled()
    expect(page.locator("[data-output=required_deceleration_mps2] b")).to_have_text("–")
    settle(page)
    sent = {tensor["name"]: tensor["data"] for tensor in body_of(asked[0])["inputs"]}
    assert sent[named(served, "range")] == [None]
    assert sent[named(served, "speed")] == [25]
    expect_the_apis_answer(page, served)
    box.uncheck()
    expect(field(page, served, "range")).to_have_value("80")


def test_only_what_may_be_missing_can_be_ticked_away(page: Page, served: Server) -> None:
    """There is a box exactly where the contract allows it."""
    allowed = sum(each["missing_allowed"] for each in contract(served)["features"])
    assert 0 < allowed < len(contract(served)["features"])
    assert page.locator("#panel input[type=checkbox]").count() == allowed


@pytest.mark.parametrize(("typed", "why"), [("90", "outside the contract’s 0 to 70 m/s"), ("", "must not be missing")])
def test_out_of_range_is_said_clearly(page: Page, served: Server, typed: str, why: str) -> None:
    """The flag, the field and the reason are marked in words, until the value is allowed again."""
    flag = page.locator("#flag")
    expect(flag).to_have_text(re.compile("^✓ In range"))
    field(page, served, "speed").fill(typed)
    expect(flag).to_have_text(re.compile("^▲ Out of range: .*worst case"))
    expect(field(page, served, "speed")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("[data-role=speed] .hint")).to_contain_text(why)
    settle(page)
    expect_the_apis_answer(page, served)
    field(page, served, "speed").fill("25")
    expect(flag).to_have_text(re.compile("^✓ In range"))
    expect(field(page, served, "speed")).to_have_attribute("aria-invalid", "false")


def test_the_plot_is_one_request_and_its_numbers_are_the_apis(page: Page, served: Server) -> None:
    """A batch of speeds; each row of the numbers beside it is what the API answers at that speed."""
    asked = infers(page)
    page.get_by_role("button", name="Wet").click()
    settle(page)
    assert sorted(body_of(request)["inputs"][0]["shape"][0] for request in asked) == [1, 61]
    page.locator("summary").click()
    rows = [row.split("\t") for row in page.locator("#numbers tbody").inner_text().split("\n")]
    assert [float(row[0]) for row in rows] == [3.5 * at for at in range(11)]
    for row in rows:
        found = answers(served, {**values(page, served), named(served, "speed"): float(row[0])})
        assert [f"{each} m" for each in row[1:]] == [
            shown_as(found["stopping_distance_m"]),
            shown_as(found["stopping_distance_upper_m"]),
        ]


def test_the_present_speed_is_marked_where_it_is(page: Page, served: Server) -> None:
    """The mark moves along with the speed; beyond the plot's half the plot shows the whole range."""

    def mark() -> float:
        return float(page.locator("svg .now").get_attribute("x1") or "nan")

    axis = page.locator("svg .grid").first
    left, right = (float(axis.get_attribute(end) or "nan") for end in ("x1", "x2"))
    assert mark() == pytest.approx(left + (right - left) * 25 / 35, abs=0.5)
    page.get_by_label("Speed, slider").fill("56")
    settle(page)
    expect(page.locator("svg")).to_have_attribute("aria-label", re.compile("^At 56.0 m/s the median is .* At 70.0 m/s"))
    assert mark() == pytest.approx(left + (right - left) * 56 / 70, abs=0.5)


def test_a_storm_of_changes_is_no_storm_of_requests(page: Page, served: Server) -> None:
    """500 changes in half a second ask little, one at a time for each purpose, and end with the last value's answer."""
    asked = infers(page)
    under_way: list[int] = [0]
    page.on("request", lambda _: under_way.append(under_way[-1] + 1))
    page.on("requestfinished", lambda _: under_way.append(under_way[-1] - 1))
    page.evaluate(
        """async () => {
          const slider = document.querySelector("[data-role=speed] input[type=range]");
          for (let at = 0; at < 500; at += 1) {
            slider.value = 10 + at / 25;
            slider.dispatchEvent(new Event("input"));
            if (at % 10 === 9) await new Promise((done) => setTimeout(done, 10));
          }
        }"""
    )
    settle(page)
    assert 2 <= len(asked) <= 40
    assert max(under_way) <= 3  # one each for the numbers, the plot and the look after the model
    expect(page.get_by_label("Speed, slider")).to_have_value("30")
    expect_the_apis_answer(page, served)


def test_a_stale_answer_is_dropped(page: Page, served: Server) -> None:
    """What is answered after a newer wish is never shown."""
    held: list[Route] = []
    page.route("**/infer", lambda route: held.append(route) if not held else route.continue_())
    page.evaluate(
        """() => {
          window.seen = [];
          const note = () => seen.push(document.querySelector("[data-output=median] b").textContent);
          new MutationObserver(note).observe(document.querySelector("#figures"), { childList: true });
        }"""
    )
    field(page, served, "speed").fill("30")
    while not held:
        page.wait_for_timeout(10)
    stale = answers(served, values(page, served))["stopping_distance_m"]
    field(page, served, "speed").fill("40")
    held[0].continue_()
    settle(page)
    expect_the_apis_answer(page, served)
    assert shown_as(stale) not in page.evaluate("seen")


def test_it_is_all_there_for_the_keyboard(page: Page, served: Server) -> None:
    """Tab reaches every control in the order of the page, visibly; arrows, space and Enter do what a mouse does."""
    wanted = page.locator("a.skip, main summary, main button, main input, main select").evaluate_all(
        "all => all.map((each) => each.id || each.getAttribute('aria-label') || each.textContent)"
    )
    reached = []
    for _ in wanted:
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                """() => {
                  const { id, textContent, parentNode } = document.activeElement;
                  if (getComputedStyle(document.activeElement).outlineStyle === "none") return "invisible";
                  return id || document.activeElement.getAttribute("aria-label") || textContent;
                }"""
            )
        )
    assert reached == wanted
    page.get_by_label("Speed, slider").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    settle(page)
    assert float(field(page, served, "speed").input_value()) > 25
    expect_the_apis_answer(page, served)
    page.get_by_label("Rain: missing").focus()
    page.keyboard.press("Space")
    expect(field(page, served, "rain")).to_have_value("")
    page.get_by_role("button", name="Snow").focus()
    page.keyboard.press("Enter")
    expect(field(page, served, "friction")).to_have_value("0.25")
    settle(page)
    expect_the_apis_answer(page, served)

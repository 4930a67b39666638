"""The page as it is seen: on a phone, in the light, in the dark."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser import Visits
from tests.serving.conftest import Server, settle

READABLE = 4.5  # contrast that WCAG 2.2 asks of text, 1.4.3
# Every element with words of its own: its colour against what lies under it, as luminances' ratio.
CONTRASTS = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map((each) => each / 255)
    .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4))
    .reduce((sum, each, at) => sum + each * [0.2126, 0.7152, 0.0722][at], 0);
  const under = (node) => {
    for (let each = node; each; each = each.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(each).backgroundColor);
      if (a === 1) return [r, g, b];
      if (a !== 0) throw new Error("a ground that shines through");
    }
  };
  return [...document.querySelectorAll("body *")]
    .filter((node) => node.checkVisibility() && !node.matches("option, :disabled, .skip, noscript"))
    .filter((node) => node.matches("input[type=number]") || [...node.childNodes].some(({ data }) => data?.trim()))
    .map((node) => {
      const ink = getComputedStyle(node)[node.namespaceURI.endsWith("svg") ? "fill" : "color"];
      const [one, other] = [luminance(parse(ink)), luminance(under(node))].sort((a, b) => b - a);
      return [(one + 0.05) / (other + 0.05), `${node.tagName} ${node.textContent.trim().slice(0, 30)}`];
    });
}"""


def contrasts(page: Page) -> list[list[Any]]:
    return list(page.evaluate(CONTRASTS))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_is_readable_in_light_and_dark(visit: Visits, served: Server, scheme: str) -> None:
    """All text, warnings included, stands out against its ground by the ratio that WCAG asks for."""
    page = visit(served.url + "/", color_scheme=scheme)
    settle(page)
    page.locator("summary").click()
    found = contrasts(page)
    page.get_by_label("Friction", exact=True).fill("9")
    expect(page.locator("#flag")).to_have_class("flag raised")
    settle(page)
    found += contrasts(page)
    assert len(found) > 200
    assert [each for each in found if each[0] < READABLE] == []
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert all(part > 200 for part in ground) if scheme == "light" else all(part < 60 for part in ground)


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_sticks_out_at_the_side(visit: Visits, served: Server, width: int) -> None:
    """From the narrowest phone on nobody has to scroll sideways, and no control is cut off."""
    page = visit(served.url + "/", viewport={"width": width, "height": 844})
    settle(page)
    page.locator("summary").click()
    page.get_by_label("Speed", exact=True).fill("90")
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    cut = """(all, width) => all.filter((each) => {
      const box = each.getBoundingClientRect();
      return each.checkVisibility() && (box.width === 0 || box.left < 0 || box.right > width);
    }).map((each) => each.outerHTML.slice(0, 100))"""
    assert page.locator("main *:not(svg *)").evaluate_all(cut, width) == []


def test_fingers_can_hit_the_controls_of_a_phone(visit: Visits, served: Server) -> None:
    """Buttons, fields and boxes are at least 24 px in both directions, as WCAG 2.2 asks (2.5.8)."""
    page = visit(served.url + "/", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    settle(page)
    small = page.locator("main button, main input:not([type=checkbox]), main select, .missing").evaluate_all(
        """all => all.map((each) => each.getBoundingClientRect())
          .filter((box) => Math.min(box.width, box.height) < 24).length"""
    )
    assert small == 0
    page.get_by_label("Rain: missing").tap()
    expect(page.get_by_label("Rain: missing")).to_be_checked()


def test_the_answer_stays_in_sight_at_the_sensors(visit: Visits, served: Server) -> None:
    """Where the answer has scrolled away a bar has its numbers and its flag; before that there is none."""
    page = visit(served.url + "/", viewport={"width": 390, "height": 844})
    settle(page)
    bar = page.locator("#bar")
    expect(bar).to_be_hidden()
    page.locator("[data-role=tread_depth]").scroll_into_view_if_needed()
    expect(bar).to_be_in_viewport(ratio=1)
    page.get_by_label("Tread depth", exact=True).fill("-1")
    expect(bar).to_contain_text("▲ out of range")
    expect(bar).to_contain_text(page.locator("[data-output=bound] b").inner_text())

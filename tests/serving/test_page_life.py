"""The page and its server: what is sent, what a browser is allowed, models that come and go, tokens."""

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from tests.browser import Visits
from tests.serving.conftest import CONTRACT, NAME, OUTPUTS, Sabotage, Server, Store

Start = Callable[..., Server]
FILES = {
    "/": "text/html",
    "/page/page.css": "text/css",
    **{f"/page/{name}.js": "text/javascript" for name in ("page", "api", "dom", "panel", "plot")},
}


@pytest.mark.parametrize(("path", "kind"), FILES.items())
def test_each_file_is_sent_once_and_then_known_by_its_tag(live: Server, path: str, kind: str) -> None:
    """With its type, the policy, and an ETag that is answered by 304 without a body."""
    got = live.ask("GET", path)
    assert (got.status, got.headers["content-type"]) == (200, f"{kind}; charset=utf-8")
    assert got.headers["cache-control"] == "no-cache"
    assert (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"
        in (got.headers["content-security-policy"])
    )
    assert "unsafe" not in got.headers["content-security-policy"]
    tag = got.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = live.ask("GET", path, headers={"If-None-Match": known})
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert live.ask("GET", path, headers={"If-None-Match": '"other"'}).body == got.body
    assert live.ask("HEAD", path).headers["etag"] == tag
    assert live.ask("POST", path).status == 405


def test_a_connection_goes_on_after_a_304(live: Server) -> None:
    """No body follows it, so the next answer is where a client looks for it."""
    tag = live.ask("GET", "/").headers["etag"]
    with live.raw() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nIf-None-Match: %b\r\n\r\n" % tag.encode())
        connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nConnection: close\r\n\r\n")
        reply = b""
        while data := connection.recv(65536):
            reply += data
    heads = reply.split(b"\r\n\r\n")
    assert heads[0].startswith(b"HTTP/1.1 304 ")
    assert heads[1].startswith(b"HTTP/1.1 200 ")
    assert json.loads(heads[2]) == {"live": True}


def test_nothing_outside_the_page_is_served(live: Server) -> None:
    """Only the page's own files have paths."""
    for path in ("/page/", "/page/index.html", "/page/../static.py", "/page/%2e%2e/static.py", "/static.py"):
        assert live.ask("GET", path).status == 404


def test_the_browser_runs_no_foreign_script(visit: Visits, live: Server) -> None:
    """The policy stops what a page's own code could be tricked into."""
    page = visit(live.url + "/")
    visit.forgiven.append("Content Security Policy")
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "document.title = 'taken'";
          document.head.append(script);
        }"""
    )
    assert page.title() == f"{NAME} · Brakeline"
    assert any("Content Security Policy" in error for error in visit.errors)


def test_what_a_model_says_is_text(visit: Visits, start: Start, store: Store) -> None:
    """Markup in a model's name or metadata is shown as it is written."""
    markup = "<img src=x onerror=\"document.title='taken'\">"
    contract = {**CONTRACT, "features": [{**each, "description": markup} for each in CONTRACT["features"]]}
    outputs = {name: {**each, "description": markup} for name, each in OUTPUTS.items()}
    replaced = {"brakeline.contract": json.dumps(contract), "brakeline.outputs": json.dumps(outputs)}
    name = "a<b>&\"'"
    server = start("--model", str(store.add("1", sabotage=Sabotage(replaced=replaced))), "--model-name", name)
    page = visit(server.url + "/")
    expect(page.locator("#contract")).to_contain_text(markup)
    expect(page.locator("#figures")).to_contain_text(markup)
    expect(page.locator("h1")).to_have_text(name)
    assert page.locator("img, b b").count() == 0
    assert page.title() == f"{name} · Brakeline"


def test_a_model_is_picked_up_when_it_comes_and_when_it_changes(visit: Visits, start: Start, store: Store) -> None:
    """Without a model the page says so; it meets the first and the next one without being loaded anew."""
    visit.forgiven.append("503")
    server = start("--model-store", str(store.root))
    page = visit(server.url + "/")
    expect(page.locator("#state")).to_have_text("No model is served yet")
    expect(page.locator("#trouble")).to_contain_text("serving.json")
    expect(page.locator("main")).to_be_hidden()
    store.add("1", scale=2.0)
    store.point("1")
    expect(page.locator("#state")).to_have_text("Live: version 1")
    expect(page.locator("#trouble")).to_be_hidden()
    expect(page.locator("[data-output=median] b")).to_have_text("50.0 m")
    page.get_by_label("Speed", exact=True).fill("30")
    store.add("2", scale=5.0)
    store.point("2")
    expect(page.locator("#state")).to_have_text("Live: version 2")
    expect(page.locator("[data-output=median] b")).to_have_text("150.0 m")
    store.add("3", sabotage=Sabotage(without=("brakeline.golden",)))
    store.point("3")
    expect(page.locator("#facts")).to_contain_text("Refused: 3")
    expect(page.locator("#state")).to_have_text("Live: version 2")


def test_a_model_with_one_output_has_a_page_too(visit: Visits, live: Server) -> None:
    """Where there is no bound there is no plot; the rest works."""
    page = visit(live.url + "/")
    expect(page.locator("[data-output=median] b")).to_have_text("50.0 m")
    expect(page.locator("[data-output=bound]")).to_have_count(0)
    expect(page.locator("#plot")).to_be_hidden()


def test_a_server_that_ends_is_missed_and_met_again(visit: Visits, start: Start, store: Store) -> None:
    """The page says that it has no answer, keeps what was set, and goes on with the next life of the server."""
    visit.forgiven += ["ERR_CONNECTION_REFUSED", "503"]
    store.add("1")
    store.point("1")
    server = start("--model-store", str(store.root))
    page = visit(server.url + "/")
    page.get_by_label("Speed", exact=True).fill("31")
    expect(page.locator("[data-output=median] b")).to_have_text("62.0 m")
    server.stop()
    expect(page.locator("#state")).to_have_text("The server does not answer")
    page.get_by_label("Speed", exact=True).fill("32")
    start("--model-store", str(store.root), "--port", str(server.port))
    expect(page.locator("#state")).to_have_text("Live: version 1")
    expect(page.locator("[data-output=median] b")).to_have_text("64.0 m")
    expect(page.locator("#trouble")).to_be_hidden()


def test_a_token_is_asked_for_sent_and_kept_nowhere(visit: Visits, live: Server) -> None:
    """The field appears when the API answers 401, also later; what is typed goes into no store or URL."""
    visit.forgiven.append("401")
    token = ["s3cret"]

    def guard(route: Route) -> None:
        if "/health/" in route.request.url or route.request.headers.get("authorization") == f"Bearer {token[-1]}":
            route.fallback()
        else:
            route.fulfill(status=401, body='{"error": "a bearer token is needed"}')

    page = visit(live.url + "/v2")
    page.route("**/v2/**", guard)
    page.goto(live.url + "/")
    expect(page.locator("#state")).to_have_text("A token is needed")
    expect(page.locator("#token")).to_be_focused()
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#token")).to_have_value("")
    expect(page.locator("main")).to_be_hidden()
    page.locator("#token").fill("s3cret")
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_have_text("Live: version 3")
    expect(page.locator("#credentials")).to_be_hidden()
    expect(page.locator("[data-output=median] b")).to_have_text("50.0 m")
    kept = page.evaluate(
        "[localStorage.length, sessionStorage.length, document.cookie, location.search + location.hash]"
    )
    assert kept == [0, 0, "", ""]
    token.append("n3xt")
    page.get_by_label("Speed", exact=True).fill("30")
    expect(page.locator("#token")).to_be_visible()
    page.wait_for_timeout(2500)
    expect(page.locator("#state")).to_have_text("A token is needed")
    page.locator("#token").fill("n3xt")
    page.keyboard.press("Enter")
    expect(page.locator("[data-output=median] b")).to_have_text("60.0 m")
    page.reload()
    expect(page.locator("#state")).to_have_text("A token is needed")

"""The browser that pages are tested in notices what a page must not do."""

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Playwright

from tests.browser import Visits, visiting

STRANGER = "http://192.0.2.1"  # TEST-NET-1, which is nobody's


class _Handler(BaseHTTPRequestHandler):
    pages: dict[str, str]

    def do_GET(self) -> None:
        body = self.pages.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write((body or "").encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name in http.server
        pass


@pytest.fixture
def site() -> Iterator[tuple[str, dict[str, str]]]:
    """A server's URL, and the pages that it has."""
    pages: dict[str, str] = {}
    handler = type("Handler", (_Handler,), {"pages": pages})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", pages
    server.shutdown()
    thread.join()
    server.server_close()


def _page(body: str) -> str:
    return f"<!doctype html><link rel=icon href=data:,><title>here</title>{body}"


def test_a_page_that_keeps_to_itself_passes(visit: Visits, site: tuple[str, dict[str, str]]) -> None:
    """Requests to its own origin and data URLs are no offence."""
    url, pages = site
    pages["/"] = _page("<img src=data:image/gif;base64,R0lGODlhAQABAAAAACw=><script src=own.js></script>")
    pages["/own.js"] = "document.title = 'read'"
    assert visit(url + "/").title() == "read"
    visit.check()


@pytest.mark.parametrize(
    "asking",
    [
        f"<img src={STRANGER}/pixel.gif>",
        f"<script>fetch('{STRANGER}/')</script>",
        f"<script>new WebSocket('{STRANGER.replace('http', 'ws')}/')</script>",
        f"<link rel=stylesheet href={STRANGER}/style.css>",
    ],
    ids=["image", "fetch", "socket", "style"],
)
def test_a_request_to_others_is_blocked_and_fails_the_test(
    visit: Visits, site: tuple[str, dict[str, str]], asking: str
) -> None:
    """Whatever kind of request it is."""
    url, pages = site
    pages["/"] = _page(asking)
    page = visit(url + "/")
    page.wait_for_timeout(200)
    assert urlsplit(visit.outside[0]).netloc == "192.0.2.1"
    with pytest.raises(AssertionError, match="the page asked others"):
        visit.check()
    visit.outside.clear()
    visit.errors.clear()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("<script>console.error('wrong')</script>", "wrong"),
        ("<script>nowhere()</script>", "nowhere is not defined"),
        ("<script>Promise.reject(new Error('late'))</script>", "late"),
        ("<img src=/none.png>", "404"),
    ],
    ids=["console", "exception", "rejection", "status"],
)
def test_an_error_in_the_page_fails_the_test(
    visit: Visits, site: tuple[str, dict[str, str]], fault: str, said: str
) -> None:
    """Written to the console, thrown, or a resource that is not there; unless the test forgives it."""
    url, pages = site
    pages["/"] = _page(fault)
    visit(url + "/").wait_for_timeout(200)
    with pytest.raises(AssertionError, match=said):
        visit.check()
    visit.forgiven.append(said)
    visit.check()


def test_a_file_may_read_itself_alone(visit: Visits, tmp_path: Path) -> None:
    """A page on disk is whole in one file."""
    other = tmp_path / "other.gif"
    other.write_bytes(b"GIF89a")
    (tmp_path / "page.html").write_text(_page(f"<img src={other.as_uri()}>"))
    visit((tmp_path / "page.html").as_uri()).wait_for_timeout(200)
    assert visit.outside == [other.as_uri()]
    visit.outside.clear()
    visit.errors.clear()


def test_it_leaves_asyncio_to_other_tests(
    chromium: tuple[Playwright, Browser], site: tuple[str, dict[str, str]]
) -> None:
    """An event loop runs as ever between two visits of the same process."""

    async def answer() -> int:
        await asyncio.sleep(0)
        return 42

    url, pages = site
    pages["/"] = _page("")
    for _ in range(2):
        with visiting(*chromium) as visits:
            assert visits(url + "/").title() == "here"
        assert asyncio.run(answer()) == 42

"""One headless Chromium per test process, for pages that may ask nobody but the server they come from.

Chromium is the system's own; Playwright's download of browsers is never used.
"""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Route, WebSocketRoute, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_MS = 15_000
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
    # Chromium's own services reach nobody either; what a page asks is judged by `Visits`.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)
_LOCAL = ("data", "blob", "about")


@dataclass
class Visits:
    """The pages that one test opens. `outside` and `errors` must be empty at its end.

    `forgiven` are patterns of console errors that the test provokes: Chromium reports every status above 399.
    """

    browser: Browser
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    forgiven: list[str] = field(default_factory=list)

    def __call__(self, url: str, **options: Any) -> Page:
        """Open a URL (http or file) in a fresh profile; options are those of Playwright's `new_context`."""
        context = self.browser.new_context(service_workers="block", **options)
        context.set_default_timeout(PATIENCE_MS)
        own = _origin(url)

        def judge(route: Route) -> None:
            if urlsplit(route.request.url).scheme in _LOCAL or _origin(route.request.url) == own:
                route.fallback()
            else:
                self.outside.append(route.request.url)
                route.abort()

        def refuse(socket: WebSocketRoute) -> None:
            self.outside.append(socket.url)
            socket.close()

        context.route("**/*", judge)
        context.route_web_socket(re.compile(".*"), refuse)
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.errors.append(f"uncaught: {error.error}"))
        page = context.new_page()
        page.goto(url)
        return page

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"console: {message.text} ({message.location['url']})")

    def check(self) -> None:
        """Fail for a request to anywhere else, an error in the console or an uncaught exception."""
        assert not self.outside, f"the page asked others: {', '.join(self.outside)}"
        errors = [error for error in self.errors if not any(re.search(each, error) for each in self.forgiven)]
        assert not errors, f"the page has errors: {'; '.join(errors)}"

    def close(self) -> None:
        """Close all pages."""
        for context in self.browser.contexts:
            context.close()


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    # A file has no origin: it may read itself and no other.
    return (parts.scheme, parts.path) if parts.scheme == "file" else (parts.scheme, parts.netloc)


@contextmanager
def _loop_of(playwright: Playwright) -> Iterator[None]:
    # Playwright leaves its event loop marked as running in this thread, which breaks asyncio in later tests.
    asyncio._set_running_loop(playwright._loop)
    try:
        yield
    finally:
        asyncio._set_running_loop(None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[tuple[Playwright, Browser]]:
    """The browser of this test process; without Chromium the tests that want it are skipped."""
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: apt-get install chromium fonts-dejavu-core")
    playwright = sync_playwright().start()
    with _loop_of(playwright):
        # Each launch has a user data folder of its own, removed at the end.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield playwright, browser
    with _loop_of(playwright):
        browser.close()
        playwright.stop()


@contextmanager
def visiting(playwright: Playwright, browser: Browser) -> Iterator[Visits]:
    """Pages for a while; whatever happens they are closed."""
    with _loop_of(playwright):
        visits = Visits(browser)
        try:
            yield visits
        finally:
            visits.close()


@pytest.fixture
def visit(chromium: tuple[Playwright, Browser]) -> Iterator[Visits]:
    """Opens pages; at the test's end they have asked no other origin and have raised no error."""
    with visiting(*chromium) as visits:
        yield visits
    visits.check()

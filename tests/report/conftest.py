"""A page as a browser shows it."""

import shutil

import pytest

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-audio-output",
]


@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium of the system; no browser is downloaded."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(
        filter(
            None,
            map(
                shutil.which,
                ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"),
            ),
        ),
        None,
    )
    if not program:
        pytest.skip("no chromium is installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def shown(chromium):
    """Opens a page at a width; what goes wrong in it fails the test."""
    wrong, pages = [], []

    def show(path, width=1280):
        page = chromium.new_page(viewport={"width": width, "height": 800})
        pages.append(page)
        page.on("console", lambda line: wrong.append(f"console: {line.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
        page.on(
            "request",
            lambda request: (
                request.url.startswith(("file:", "data:"))
                or wrong.append(f"network: {request.url}")
            ),
        )
        page.goto(path.as_uri())
        return page

    yield show
    for page in pages:
        page.close()
    assert not wrong

"""A real browser, and pages of it that fail their test where the console has an error."""

from __future__ import annotations

import os
import shutil

import pytest

PLACES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Programs that will do; NNKIT_TEST_BROWSER names another."""

SIZE = {"width": 1280, "height": 900}


def is_error(message) -> bool:
    """Whether a word of the console is the page's fault; that a server has ended is not."""
    return message.type == "error" and "ERR_CONNECTION_REFUSED" not in message.text


def browser_program() -> str | None:
    wanted = os.environ.get("NNKIT_TEST_BROWSER")
    return wanted or next(filter(None, map(shutil.which, PLACES)), None)


@pytest.fixture(scope="session")
def browser():
    program = browser_program()
    if program is None:
        pytest.skip(f"no browser here: none of {', '.join(PLACES)}, and no NNKIT_TEST_BROWSER")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu"] if hasattr(os, "geteuid") else []
        launched = playwright.chromium.launch(executable_path=program, args=flags)
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser):
    """Open an address in a browser of its own: open_page(address, **how), see new_context."""
    contexts, errors = [], []

    def opened(address, *, expect_errors=False, **how):
        context = browser.new_context(**{"viewport": SIZE, "locale": "en", **how})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        if not expect_errors:
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda m: errors.append(m.text) if is_error(m) else None)
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not errors, errors

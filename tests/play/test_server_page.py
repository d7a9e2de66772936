"""A page whose server ends, fails or is full says so, and comes back where it can."""

from functools import partial

import pytest
from playwright.sync_api import expect

from nnkit.play import app
from nnkit.play.drawing.room import Draw
from nnkit.play.server import Server
from tests.play.networks import gallery, relu

ROOMS = {"draw": partial(Draw, gallery=gallery(it=relu()))}


@pytest.mark.parametrize("locale", ["en", "ko"])
def test_a_server_that_ends_and_another_in_its_place(open_page, locale):
    said = {"en": ("has ended", "Another nnkit play"), "ko": ("끝났거나", "다른 nnkit play")}[
        locale
    ]
    with Server(ROOMS, port=0) as server:
        page = open_page(server.address + "#/draw", expect_errors=True, locale=locale)
        page.locator("canvas").first.wait_for()
    notice = page.get_by_role("alert").first
    expect(notice).to_contain_text(said[0])
    with Server(ROOMS, port=server.port) as again:
        assert again.port == server.port
        expect(notice).to_contain_text(said[1])
        page.goto(again.address + "#/draw")
        page.locator("canvas").first.wait_for()
        expect(page.locator("#notice")).to_be_empty()


def test_too_many_pages(open_page, monkeypatch):
    monkeypatch.setattr(app, "PAGES", 0)
    with Server(ROOMS, port=0) as server:
        page = open_page(server.address + "#/draw")
        expect(page.locator("#notice")).to_contain_text("Too many pages")
        monkeypatch.setattr(app, "PAGES", 9)
        page.get_by_role("button", name="Connect again").click()
        expect(page.locator("#notice")).to_be_empty()
        page.close()


def test_a_room_that_fails(open_page):
    def fail(connection):
        raise ZeroDivisionError

    with Server({"draw": fail}, port=0) as server:
        page = open_page(server.address + "#/draw")
        expect(page.locator("#notice")).to_contain_text("nnkit had an error here")
        page.close()

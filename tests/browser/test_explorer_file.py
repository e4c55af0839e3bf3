"""Test explorer.html, opened as a file with the network blocked: what readers do, and its errors."""

import re
import subprocess
import sys
from pathlib import Path
from urllib.request import url2pathname

import pytest
from conftest import REPOSITORY, SCREENS, check_accessible
from playwright.sync_api import expect

from grmu.widgets.settings import Choice, printed

MIU = "#v=2&who=smallest&method=miu&reweight=1&ratio=0.5&lam=1&seed=all"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("explorer") / "explorer.html"
    subprocess.run([sys.executable, REPOSITORY / "docs" / "build_explorer.py", "--to", path], check=True)
    return path.as_uri()


@pytest.fixture
def opened(chromium, address):
    """A function that opens the page; console errors fail the test."""
    complaints = []

    def open_page(hash_="", width=1200, scheme="light", before="", ready=True, **context):
        page = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme,
                                    offline=True, **context).new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: complaints.append(str(e)))
        if before:
            page.add_init_script(before)
        page.goto(address + hash_)
        if ready:
            page.locator(".plot svg").first.wait_for()
        return page

    yield open_page
    assert complaints == []


def shot(page, name):
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / f"explorer-page-{name}.png", full_page=True)


def slider(page, name="unlearning ratio"):
    return page.get_by_role("slider", name=re.compile(name))


def test_a_group_falls_as_the_ratio_is_moved_by_keyboard(opened):
    page = opened()
    expect(page.get_by_role("heading", level=2)).to_contain_text("RETRAIN at ratio 0.5:")
    slider(page).focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", level=2)).to_contain_text("RETRAIN at ratio 0.9:")
    assert slider(page).get_attribute("aria-valuetext").endswith("is forgotten: 0.9, shown 0.9")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".note")).to_contain_text("ratio 0.9 (nearest to 0.85 that was computed)")
    expect(page.get_by_role("heading", level=2)).to_contain_text("0.9 (the nearest computed to 0.85):")
    expect(page.get_by_role("status").first).to_contain_text("nearest to 0.85")  # said once it rests
    expect(page).to_have_url(re.compile("ratio=0.85"))
    shot(page, "keyboard")


def test_every_figure_has_its_numbers_as_a_table(opened):
    page = opened(MIU)
    buttons = page.get_by_role("button", name=re.compile("Numbers as a table"))
    assert buttons.count() == page.locator("figure").count() == 6
    for i in range(6):
        buttons.nth(i).focus()
        page.keyboard.press("Enter")
        expect(page.locator("figure").nth(i).locator("tbody tr").first).to_be_visible()
    after = printed(Choice()).groups.after.iloc[-1]
    assert f"{after:.1f}" in page.locator("figure", has_text="every group").locator("table").inner_text()


def test_the_first_figure_follows_the_slider_and_ticks_are_at_what_was_computed(opened):
    page = opened(MIU)
    expect(page.locator("figure h3").first).to_contain_text("against the ratio")
    for name in ("unlearning ratio", "λ, weight"):
        assert slider(page, name).locator("xpath=..").locator(".ticks span").count() > 1
        expect(slider(page, name)).to_be_enabled()
    page.get_by_label("data set").select_option("groundwear-many")
    expect(slider(page, "calibration: 10, the only one computed here")).to_be_disabled()


def test_controls_offer_what_was_run_and_a_link_holds_the_setting(opened, address):
    page = opened()
    page.get_by_label("method").select_option("miu")
    page.get_by_label("seeds").select_option("2")
    expect(page.locator(".note")).to_contain_text("Of fewer than five seeds there is no interval.")
    expect(page).to_have_url(re.compile("lam=1&seed=2"))
    said, link = page.get_by_role("heading", level=2).inner_text(), page.url
    assert opened(link.removeprefix(address)).get_by_role("heading", level=2).inner_text() == said
    page.get_by_label("data set").select_option("groundwear-many")
    expect(page.get_by_label("group that requests deletion")).to_have_value("nine")
    expect(page.locator(".note")).to_contain_text("λ = 10 (nearest to 1 that was computed here)")


@pytest.mark.parametrize(("hash_", "said"), [
    ("#v=0&who=smallest", "made for version “0” of the explorer"),
    ("#v=2&ratio=x", "ratio “x” is not known"),
    ("#v=2&who=alike&method=miu", "MIU was not run for as many samples of all 4 groups alike")])
def test_a_link_that_cannot_be_followed_says_so(opened, hash_, said):
    page = opened(hash_)
    expect(page.locator(".warning").first).to_contain_text(said)
    assert page.locator(".plot svg").count() >= 4


def test_without_scripts_there_are_a_sentence_and_numbers(opened):
    page = opened(ready=False, java_script_enabled=False)
    expect(page.get_by_text("JavaScript is off")).to_be_visible()
    expect(page.locator("table")).to_contain_text("sneaker on brick")
    assert page.locator("img").evaluate("picture => picture.naturalWidth") > 1000
    assert "from 65 to 50 %" in page.locator("img").get_attribute("alt")


def test_a_browser_that_knows_no_modules_is_told_which_do(chromium, address, tmp_path):
    """Such a one passes over a script of a kind that it does not know, and has no `noModule`."""
    text = Path(url2pathname(address.removeprefix("file://"))).read_text()
    old = tmp_path / "old.html"
    old.write_text(text.replace('<script type="module">', '<script type="unknown-to-it">'))
    page = chromium.new_context(offline=True).new_page()
    page.add_init_script("delete HTMLScriptElement.prototype.noModule")
    page.goto(old.as_uri())
    expect(page.get_by_text("Chrome or Edge 111, Firefox 113, Safari 16.4")).to_be_visible()
    expect(page.locator("table")).to_contain_text("sneaker on brick")


@pytest.mark.parametrize("width", [400, 600, 1200])
def test_nothing_is_wider_than_the_window(opened, width):
    page = opened(MIU, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width == 600:  # as of 1200 pixels at 200 %
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("hash_", ["", MIU, "#v=0"])
def test_axe_finds_nothing(opened, scheme, hash_):
    page = opened(hash_, scheme=scheme)
    buttons = page.locator("button[aria-expanded]")
    for i in range(buttons.count()):
        buttons.nth(i).click()
    check_accessible(page)
    shot(page, f"{scheme}{hash_[:12].replace('&', '-').replace('#', '-')}")

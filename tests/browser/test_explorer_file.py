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

RETRAIN = "#v=2&view=retrain&group=3&ratio=0.5&strength=1"
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
    expect(page.get_by_role("heading", level=2)).to_contain_text("0.9 (the nearest to 0.85 that was")
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
    expect(page.locator(".note")).to_contain_text("There is no interval with fewer than five seeds.")
    expect(page).to_have_url(re.compile("lam=1&seed=2"))
    said, link = page.get_by_role("heading", level=2).inner_text(), page.url
    assert opened(link.removeprefix(address)).get_by_role("heading", level=2).inner_text() == said
    page.get_by_label("data set").select_option("groundwear-many")
    expect(page.get_by_label("group that requests deletion")).to_have_value("nine")
    expect(page.locator(".note")).to_contain_text("λ = 10 (nearest to 1 that was computed here)")


@pytest.mark.parametrize(("hash_", "said"), [
    ("#v=0&who=smallest", "made for version “0” of the explorer"),
    ("#v=2&ratio=x", "ratio “x” is not known"),
    ("#v=2&view=retrain&ratio=7", "ratio must be a number from 0 to 1, but the link has “7”"),
    ("#v=0&view=retrain", "made for version “0” of the explorer"),
    ("#v=2&who=alike&method=miu", "MIU was not run for as many samples of all 4 groups alike")])
def test_a_link_that_cannot_be_followed_says_so(opened, hash_, said):
    page = opened(hash_)
    expect(page.locator(".warning").first).to_contain_text(said)
    assert page.locator(".plot svg").count() >= 2


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
    page = opened(RETRAIN, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Look up runs").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width == 600:  # as of 1200 pixels at 200 %
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("hash_", ["", MIU, "#v=0", RETRAIN + "&rounds=12&weight0=2"])
def test_axe_finds_nothing(opened, scheme, width, hash_):
    page = opened(hash_, scheme=scheme, width=width)
    for summary in page.locator("summary").all():
        summary.click()
    buttons = page.locator("button[aria-expanded]")
    for i in range(buttons.count()):
        buttons.nth(i).click()
    check_accessible(page)
    shot(page, f"{scheme}{width}{hash_[:12].replace('&', '-').replace('#', '-')}")


def bars(page):
    """The numbers beside the bars, and the bars' ends."""
    return [page.locator(".value").all_text_contents(),
            [bar.get_attribute("d") for bar in page.locator("path.full").all()]]


def test_a_move_retrains_the_last_layer_and_a_link_holds_every_setting(opened, address):
    page = opened(RETRAIN)
    heading, before = page.get_by_role("heading", level=2), bars(page)
    expect(heading).to_contain_text("Without 51 of the 102 pictures of sneakers on brick")
    slider(page).focus()
    for _ in range(8):
        page.keyboard.press("PageUp")
    expect(heading).to_contain_text("The group is gone")
    after = bars(page)
    assert all(old != new for old, new in zip(before, after, strict=True))
    assert page.locator(".sheet .changed").count() > 3
    page.get_by_text("Weights of the groups, regularisation").click()
    for name in ("strength of REWEIGHT", "regularisation", "weight of ankle boots on grass", "rate of"):
        slider(page, name).focus()
        page.keyboard.press("Home")
    page.get_by_label("group that requests deletion").select_option("2")
    expect(page).to_have_url(re.compile("group=2&ratio=1&strength=0&l2=0.000001&weight0=0.1.*&rate=0&rounds=0"))
    said, numbers = heading.inner_text(), bars(page)  # once it rests, wherever it came from
    again = opened(page.url.removeprefix(address))
    expect(again.get_by_role("status").first).not_to_be_empty()
    assert again.get_by_role("heading", level=2).inner_text() == said
    assert bars(again) == numbers
    page.get_by_role("button", name="Reset").click()
    expect(heading).to_contain_text("Without 51 of the 102 pictures of sneakers on brick")


def test_a_finger_moves_the_ratio(opened):
    page = opened(RETRAIN, has_touch=True, width=400)
    box = slider(page).bounding_box()
    page.touchscreen.tap(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2)
    expect(page.get_by_role("heading", level=2)).to_contain_text(re.compile("Without 9[0-9] of the 102"))


def test_the_ratio_sweeps_and_the_spiral_turns_until_the_last_round(opened):
    page = opened(RETRAIN)
    page.get_by_role("button", name="Play: sweep").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.get_by_role("heading", level=2)).to_contain_text("The group is gone", timeout=60_000)
    expect(page.get_by_role("button", name="Play: sweep")).to_be_visible()
    page.get_by_role("button", name="Play the spiral").click()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Play the spiral").click()
    expect(page.get_by_text("After round 12,")).to_be_visible(timeout=60_000)
    said = page.get_by_text("After round 12,").inner_text()
    slider(page).focus()
    page.keyboard.press("PageDown")
    expect(page).to_have_url(re.compile("ratio=0.9&.*rounds=12"))
    page.reload()
    expect(page.get_by_text("After round 12,")).to_have_text(said)


def test_views_are_changed_by_buttons_and_the_address_follows(opened):
    page = opened()
    page.get_by_role("button", name="Retrain it yourself").click()
    expect(page).to_have_url(re.compile("view=retrain&group=3"))
    assert page.locator("[data-milliseconds]").count() == 1
    page.get_by_role("button", name="Look up runs").click()
    expect(page).to_have_url(re.compile("who=smallest&method=retrain"))
    expect(page.get_by_role("link", name="Back to the course")).to_be_hidden()  # a file alone has no course


MOVES = """async () => {
  const input = document.querySelector("input[id$='-ratio']"), solve = [], all = [];
  for (let i = 0; i < 200; i++) {
    await new Promise(requestAnimationFrame);
    const start = performance.now();
    input.value = String(0.5 + 0.5 * Math.sin(i / 12));
    input.dispatchEvent(new Event("input", { bubbles: true }));
    document.body.getBoundingClientRect();
    all.push(performance.now() - start);
    solve.push(Number(document.querySelector("[data-milliseconds]").dataset.milliseconds));
  }
  return { solve, all, heading: document.querySelector("h2").innerText };
}"""


def test_two_hundred_moves_are_timed(opened, capsys):
    page = opened(RETRAIN)
    page.evaluate(MOVES)  # the browser compiles what it runs often
    moved = page.evaluate(MOVES)
    with capsys.disabled():
        for name in ("solve", "all"):
            times = sorted(moved[name])
            print(f"\n{name}, ms: median {times[100]:.1f}, 95 % {times[190]:.1f}, max {times[-1]:.1f}")
    assert "Without" in moved["heading"]
    assert min(moved["solve"]) > 0

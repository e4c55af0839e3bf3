"""What a reader does, in a real browser: run a lesson, move a slider by keyboard, train, stop."""

import json
import re
import statistics

from conftest import SCREENS
from playwright.sync_api import expect

expect.set_options(timeout=240_000)
ALL_RUN = """() => {
    const prompts = document.querySelectorAll('.jp-Notebook .jp-CodeCell .jp-InputPrompt');
    const cells = [...prompts].map(p => p.textContent.trim());
    return cells.length > 5 && cells.every(p => /^\\[\\d+\\]:$/.test(p)); }"""
ANSWER = """([slider, key]) => new Promise((resolve, reject) => {
    const box = slider.closest('.widget-vbox'), started = performance.now();
    const observer = new MutationObserver(() => {
        const picture = box.querySelector('img');
        if (picture.src === before) return;
        observer.disconnect();
        picture.decode().then(() => resolve(performance.now() - started));
    });
    const before = box.querySelector('img').src;
    observer.observe(box, {subtree: true, attributes: true, attributeFilter: ['src']});
    setTimeout(() => { observer.disconnect(); reject('the figure did not change'); }, 60000);
    slider.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
})"""

TRAIN = """box => new Promise((resolve, reject) => {
    const buttons = [...box.querySelectorAll('button')];
    const button = buttons.find(b => b.textContent.includes('Train this setting now'));
    const curves = box.querySelectorAll('img')[1], before = curves.src, started = performance.now();
    let first = null;
    const observer = new MutationObserver(() => {
        if (first === null && curves.src !== before) first = performance.now() - started;
        if (first === null || !/Done in [0-9.]+ s: /.test(box.textContent)) return;
        observer.disconnect();
        resolve([first, performance.now() - started]);
    });
    observer.observe(box, {subtree: true, childList: true, attributes: true, characterData: true});
    setTimeout(() => {
        observer.disconnect();
        reject('the run did not end: ' + box.textContent.slice(-300));
    }, 240000);
    button.click();
})"""


def run_all(watched, lab, name):
    """Open a lesson and run all its cells; again, if the new kernel did not hear of it."""
    page = watched.page
    for attempt in range(5):
        # with no other lesson open
        page.goto(lab.url.replace("/lab?", f"/lab/workspaces/{watched.name}{attempt}/tree/{name}?"))
        page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        status = page.locator(".jp-Notebook-ExecutionIndicator")
        expect(status).to_have_attribute("data-status", "idle")
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name=re.compile("^Run All Cells")).click()
        try:
            expect(status).to_have_attribute("data-status", "busy", timeout=20_000)
            break
        except AssertionError:
            assert attempt < 4, "the kernel never began"
    page.wait_for_function(ALL_RUN, timeout=300_000)  # the first time, all is trained
    errors = ".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr'] >> text=/Error/"
    assert page.locator(errors).count() == 0
    watched.shot("all-run")


class Explorer:
    """The explorer on a page: its box, its controls, its live run."""

    def __init__(self, page):
        self.page = page
        self.box = page.locator(".widget-vbox", has=page.get_by_text("who asks", exact=True)).last
        self.box.scroll_into_view_if_needed()
        self.picture = self.box.locator("img").first

    def slider(self, label):
        """The handle beside a label."""
        return self.box.locator(".widget-hslider", has_text=label).locator(".noUi-handle")

    def message(self):
        """What the explorer says that it shows."""
        return self.box.get_by_text(re.compile("^Shown: ")).inner_text()

    def press(self, label, key, times=1):
        """Move a slider by keyboard; the message must follow."""
        handle = self.slider(label)
        handle.focus()
        for _ in range(times):
            before = self.message()
            handle.press(key)
            expect(self.box.get_by_text(re.compile("^Shown: "))).not_to_have_text(before)

    def train(self):
        """Press the button and wait for the end; milliseconds to the first curves and to the end, by the
        browser's clock."""
        first, whole = self.box.evaluate(TRAIN)
        expect(self.box.locator("img").nth(1)).to_be_visible()
        expect(self.box.get_by_text(re.compile(r"^Done in .* s: "))).to_be_visible()
        return first, whole


def keep(name, **numbers):
    """Write what was measured beside the screenshots; no test asserts a time."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    (SCREENS / f"{name}.json").write_text(json.dumps(numbers, indent=1))
    print(name, numbers)


def commit_a_guess(watched):
    """Choose among options, and commit: it is kept, and cannot be changed any more."""
    box = watched.page.locator(".widget-vbox", has_text="Who is served worse by it?").last
    box.scroll_into_view_if_needed()
    box.get_by_role("button", name="That is my guess").click()
    expect(box.get_by_text("Choose first.")).to_be_visible()
    box.get_by_text("all sneakers", exact=True).click()
    box.get_by_role("button", name="That is my guess").click()
    expect(box.get_by_text("Kept: all sneakers. Read on.")).to_be_visible()
    expect(box.get_by_role("button", name="That is my guess")).to_be_disabled()
    watched.shot("guessed")


def test_lesson_01_is_run_and_the_ratio_moved_by_keyboard(lab, watched):
    run_all(watched, lab, "01_uneven_forgetting.ipynb")
    commit_a_guess(watched)
    explorer = Explorer(watched.page)
    assert "ratio 0.7" in explorer.message()
    watched.shot("explorer")
    before = explorer.picture.get_attribute("src")
    explorer.press("unlearning ratio", "ArrowRight", 3)
    expect(explorer.picture).not_to_have_attribute("src", before)
    assert "ratio 0.9 (nearest to 0.85 that was computed)" in explorer.message()
    watched.shot("ratio-moved")
    explorer.press("unlearning ratio", "ArrowRight")
    explorer.train()
    assert "retrain, r=0.9, seed 0" in explorer.box.get_by_text(re.compile("^Done in")).inner_text()
    watched.shot("trained")


def test_lesson_05_trains_live_shows_what_changed_and_stops(lab, watched):
    run_all(watched, lab, "05_miu.ipynb")
    explorer = Explorer(watched.page)
    assert "λ = 10" in explorer.message()
    explorer.press("λ, calibration", "ArrowLeft", 6)
    assert "λ = 5 (nearest to 7 that was computed here)" in explorer.message()
    watched.shot("lambda-moved")
    answers = [watched.page.evaluate(ANSWER, [explorer.slider("unlearning ratio").element_handle(), key])
               for key in ("PageUp", "PageDown") * 10]
    before = explorer.picture.get_attribute("src")
    first, whole = explorer.train()
    expect(explorer.picture).not_to_have_attribute("src", before)  # the star
    watched.shot("trained")
    for view in ("what changed", "features"):
        seen = explorer.box.locator("img").nth(2)
        before = seen.get_attribute("src")
        explorer.box.get_by_role("button", name=view).click()
        expect(seen).not_to_have_attribute("src", before)
        watched.shot(view.replace(" ", "-"))
    explorer.box.get_by_role("button", name="Train this setting now").click()
    explorer.box.get_by_text(re.compile("epoch|: [1-9] of 10")).first.wait_for()
    explorer.box.get_by_role("button", name="Stop").click()
    expect(explorer.box.get_by_text(re.compile("^Stopped at"))).to_be_visible()
    watched.shot("stopped")
    expect(explorer.box.get_by_role("button", name="Train this setting now")).to_be_enabled()
    keep("lesson-05", slider_to_figure_ms=round(statistics.median(answers)), slowest_ms=round(max(answers)),
         first_epoch_ms=round(first), live_run_ms=round(whole))

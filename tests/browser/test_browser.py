"""Test in a real browser what readers do: run a lesson, move a slider by keyboard, train and stop."""

import re
import time

import nbformat
from conftest import check_accessible
from playwright.sync_api import expect

from notebooks import METADATA

expect.set_options(timeout=120_000)
LIGHT = ".jp-Notebook-ExecutionIndicator"
PROMPTS = ".jp-Notebook .jp-CodeCell .jp-InputPrompt"


def run_all(watched, lab, name):
    """Open a lesson alone and run all its cells, and repeat that if the new kernel missed the request."""
    page = watched.page
    page.goto(lab.url.replace("/lab?", f"/lab/workspaces/{watched.name}/tree/{name}?"))
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    # a light without a kernel is idle, too, and what is pressed then is heard in part or not at all
    expect(page.locator(".jp-Toolbar-kernelName")).to_contain_text("Python")
    expect(page.locator(LIGHT)).to_have_attribute("data-status", "idle")
    for _ in range(3):
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name=re.compile("^Run All Cells")).click()
        if all_ran(page):
            break
    else:
        raise AssertionError(f"cells are left, three times: {page.locator(PROMPTS).all_text_contents()}")
    errors = ".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr'] >> text=/Error/"
    assert page.locator(errors).count() == 0
    watched.shot("all-run")


def all_ran(page):
    """Wait for all cells; return False if the kernel becomes idle before it has run all of them."""
    rested, deadline = 0, time.monotonic() + 300
    while time.monotonic() < deadline:
        page.wait_for_timeout(500)
        prompts = page.locator(PROMPTS).all_text_contents()
        if len(prompts) > 5 and all(re.fullmatch(r"\[\d+\]:", prompt.strip()) for prompt in prompts):
            return True
        rested = rested + 1 if page.locator(LIGHT).get_attribute("data-status") == "idle" else 0
        if rested == 20:
            return False
    raise AssertionError(f"cells still run after 300 s: {prompts}")


class Explorer:
    """The controls, sentences and live run of the explorer on a page."""

    def __init__(self, page, which=-1):
        self.page = page
        self.box = page.locator(".jp-OutputArea .grmu-explorer").nth(which)
        self.box.locator(".plot svg").first.wait_for()
        self.box.scroll_into_view_if_needed()
        self.title = self.box.get_by_role("heading", level=2)
        self.note = self.box.locator(".note")
        self.said = self.box.locator(".run > span").first

    def slider(self, label):
        """Return the slider with a label."""
        return self.box.get_by_role("slider", name=re.compile(label))

    def press(self, label, key, times=1):
        """Move a slider by keyboard."""
        self.slider(label).focus()
        for _ in range(times):
            self.page.keyboard.press(key)

    def button(self, name):
        return self.box.get_by_role("button", name=name, exact=True)

    def train(self):
        """Press the button and wait for the end of the run."""
        self.button("Train this setting now").click()
        expect(self.said).to_contain_text(re.compile(r"Done in [0-9.]+ s: "))


def commit_a_guess(watched):
    """Commit to a guess, and check that it is kept and locked."""
    question = "On which groups is it at least 5 points less accurate"
    box = watched.page.locator(".widget-vbox", has_text=question).last
    box.scroll_into_view_if_needed()
    box.get_by_role("button", name="That is my guess").click()
    expect(box.get_by_text("Choose first.")).to_be_visible()
    box.get_by_text("all groups", exact=True).click()
    box.get_by_role("button", name="That is my guess").click()
    expect(box.get_by_text("Your guess: all groups. Now read on.")).to_be_visible()
    expect(box.get_by_role("button", name="That is my guess")).to_be_disabled()


def test_lesson_01_is_run_and_the_explorer_moved_and_trained(lab, watched):
    run_all(watched, lab, "01_uneven_forgetting.ipynb")
    commit_a_guess(watched)
    last_layer = Explorer(watched.page)
    last_layer.press("unlearning ratio", "End")
    expect(last_layer.title).to_contain_text("The group is gone")
    explorer = Explorer(watched.page, 0)
    expect(explorer.title).to_contain_text("RETRAIN at ratio 0.5:")
    watched.shot("explorer")
    explorer.press("unlearning ratio", "ArrowRight", 7)
    expect(explorer.note).to_contain_text("ratio 0.9 (nearest to 0.85 that was computed)")
    explorer.press("unlearning ratio", "ArrowLeft", 1)
    expect(explorer.note).to_contain_text("(nearest to 0.8 that was computed)")
    explorer.train()
    expect(explorer.said).to_contain_text("retrain, r=0.8, seed 0")
    assert explorer.box.locator("figure", has_text="against the ratio").locator("path.own").count() == 1
    watched.shot("trained")


CELLS = ["""from grmu import plots
from grmu.widgets import explore

plots.use_style()
first = explore()
first""", 'explore(method="retrain", reweight=False, ratio=0.9)', *(["1 + 1"] * 4)]


def test_two_explorers_on_a_page_train_stop_and_train_again(lab, watched):
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=METADATA), lab.folder / "two.ipynb")
    run_all(watched, lab, "two.ipynb")
    explorer, other = Explorer(watched.page, 0), Explorer(watched.page, 1)
    before = other.title.inner_text()
    explorer.box.get_by_label("method").select_option("finetune")
    explorer.press("unlearning ratio", "ArrowRight", 4)
    expect(explorer.note).to_contain_text("ratio 0.5 (nearest to 0.7 that was computed)")
    assert other.title.inner_text() == before
    stop, start = explorer.button("Stop"), explorer.button("Train this setting now")
    expect(stop).to_have_attribute("aria-disabled", "true")
    start.focus()
    watched.page.keyboard.press("Enter")
    expect(explorer.said).to_contain_text(re.compile("Training finetune.*: [1-9] of 10"))
    assert start.evaluate("button => button === document.activeElement")
    stop.click()
    expect(explorer.said).to_contain_text(re.compile(r"^Stopped after \d+ of 10"))
    explorer.train()
    curves = explorer.box.locator("figure", has_text="Epoch by epoch").locator("path.own")
    expect(curves).to_have_count(11)  # PRETRAIN's point, and ten epochs
    assert other.box.locator(".own").count() == 0
    watched.shot("trained")
    explorer.press("unlearning ratio", "ArrowRight", 4)
    expect(explorer.box.locator(".own")).to_have_count(0)  # it was another setting's
    explorer.press("unlearning ratio", "ArrowLeft", 4)
    expect(curves).to_have_count(11)
    seen = watched.page.locator(".widget-vbox img").first
    src = seen.get_attribute("src")
    watched.page.get_by_role("button", name="what changed").first.click()
    expect(seen).not_to_have_attribute("src", src)
    other.button("Train this setting now").click()
    expect(other.said).to_contain_text(re.compile("Training retrain.*: [1-9] of 15"))
    other.button("Stop").click()
    expect(other.said).to_contain_text("this run was not saved")
    for light in ("true", "false"):  # as JupyterLab's themes say it
        watched.page.evaluate("light => { document.body.dataset.jpThemeLight = light; }", light)
        check_accessible(watched.page, ".jp-OutputArea .grmu-explorer")

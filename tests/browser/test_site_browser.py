"""Test the site (served from a folder) and the slides (opened as files) with the network blocked."""

import functools
import http.server
import subprocess
import sys
import threading
from importlib.util import find_spec

import pytest
from conftest import REPOSITORY, SCREENS, check_accessible
from playwright.sync_api import expect

LESSON, OTHER = "notebooks/02_reweight.html", "notebooks/05_miu.html"
PAGES = ("index.html", LESSON, OTHER, "docs/site/functions.html", "docs/glossary.html", "docs/claims.html")
CLIPPED = """() => {
    const scrolls = e => e !== document.body
        && (["auto", "scroll"].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
    return [...document.querySelectorAll("main :is(mjx-container, pre, table, img, svg)")]
        .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !scrolls(e.parentElement)
                     && !scrolls(e))
        .map(e => e.outerHTML.slice(0, 80)); }"""
SCROLLING = """() => [...document.querySelectorAll("main pre")]
    .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent.slice(0, 80))"""
OVERFLOW = """() => {
    const found = [];
    for (let i = 0; i < Reveal.getTotalSlides(); i++) {
        Reveal.slide(i);
        const slide = Reveal.getCurrentSlide();
        const out = [...slide.querySelectorAll(':not(aside, aside *)')].map(e => e.getBoundingClientRect())
            .some(box => box.width && (box.bottom > innerHeight + 1 || box.right > innerWidth + 1));
        if (out || slide.scrollHeight > 720 || slide.scrollWidth > 1280) found.push(i + 1);
    }
    return found; }"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *what):
        """Say nothing."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder build/site, or a new site if it was not built, which takes up to a few minutes."""
    built = REPOSITORY / "build" / "site"
    if (built / "searchindex.js").exists():
        return built
    if not find_spec("sphinx"):
        pytest.skip("there is no build/site, and the extra `site` is not installed: make site")
    to = tmp_path_factory.mktemp("site") / "site"
    subprocess.run([sys.executable, REPOSITORY / "docs" / "build_site.py", to], check=True)
    return to


@pytest.fixture(scope="module")
def address(folder):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture
def opened(chromium, address):
    """A function that opens a page; console errors, failed requests and other hosts fail the test."""
    complaints, contexts = [], []

    def route(route):
        complaints.append(route.request.url)
        route.abort()

    def open_page(name, width=1200, scheme="light", **context):
        contexts.append(chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme,
                                             **context))
        contexts[-1].route(lambda url: not url.startswith((address, "file:", "data:", "blob:")), route)
        page = contexts[-1].new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: complaints.append(str(e)))
        page.on("response", lambda r: complaints.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        page.goto(name if name.startswith("file:") else address + name)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def shot(page, name, full=False):
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / f"site-{name}.png", full_page=full)


def test_search_finds_a_lesson_by_its_word(opened):
    page = opened("search.html?q=reweight")
    found = page.locator("#search-results li a")
    expect(found.nth(5)).to_be_visible()  # they come one after the other
    expect(page.locator("#search-results")).to_contain_text("2 · REWEIGHT")
    shot(page, "search")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index.html", LESSON, OTHER])
def test_axe_finds_nothing(opened, name, scheme):
    page = opened(name, scheme=scheme)
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    page.wait_for_load_state("networkidle")
    check_accessible(page)
    shot(page, f"{scheme}-{name.rpartition('/')[2].removesuffix('.html')}", full=True)


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_clipped_at_usual_and_narrow_widths_and_with_letters_twice_as_large(opened, name):
    page = opened(name, width=1280)
    page.wait_for_load_state("networkidle")
    assert page.evaluate(CLIPPED) == page.evaluate(SCROLLING) == []
    for width in (400, 640):  # 640 is as of 1280 pixels at 200 %
        page.set_viewport_size({"width": width, "height": 480})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CLIPPED) == []
        shot(page, f"{width}-{name.replace('/', '-').removesuffix('.html')}")


def test_no_page_asks_for_a_file_that_is_missing(opened, folder):
    for path in (path for path in folder.rglob("*.html") if "_static" not in path.parts):
        page = opened(path.relative_to(folder).as_posix())
        page.wait_for_load_state("networkidle")
        page.close()


def test_equations_are_set(opened):
    page = opened(LESSON)
    page.locator(".math mjx-container svg").first.wait_for(state="attached")
    assert page.locator("mjx-merror, [data-mml-node=merror]").count() == 0
    assert page.locator(".math").count() == page.locator(".math:has(mjx-container)").count() > 0


def test_without_scripts_there_are_text_figures_and_the_explorers_table(opened):
    page = opened(LESSON, java_script_enabled=False)
    expect(page.locator("h1")).to_be_visible()
    expect(page.locator(".cell_output img").first).to_be_visible()
    shot(page, "no-scripts")
    expect(opened("index.html", java_script_enabled=False).get_by_text("JavaScript is off")).to_be_visible()


def test_no_slide_sticks_out(opened, folder):
    for path in sorted((folder / "slides").glob("*.html")):
        page = opened(path.as_uri(), width=1280)
        page.set_viewport_size({"width": 1280, "height": 720})
        page.wait_for_function("window.Reveal && Reveal.isReady() && window.MathJax?.startup?.promise")
        page.evaluate("MathJax.startup.promise")
        assert page.evaluate(OVERFLOW) == [], path.stem
        assert page.locator("[data-mml-node=merror]").count() == 0
        page.evaluate("Reveal.slide(1)")
        shot(page, f"slides-{path.stem}")
        page.close()

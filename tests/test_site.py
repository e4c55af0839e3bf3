"""Test that the links and pictures of the site exist and that it loads nothing from other hosts."""

import re
import runpy
from functools import cache
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urldefrag, urlsplit

import nbformat
import pytest
from conftest import REPOSITORY
from IPython.core.inputtransformer2 import TransformerManager
from jinja2 import Environment

import grmu
from grmu.methods import get, registry

LESSON = REPOSITORY / "notebooks" / "02_reweight.ipynb"
BUILT = REPOSITORY / "build" / "site"
EXTRA = ("sphinx", "myst_nb", "pydata_sphinx_theme")
MATHJAX = REPOSITORY / "build" / "npm" / "node_modules" / "mathjax" / "es5" / "tex-svg.js"
SOURCES = ("*.md", "docs/**/*.*", "notebooks/*.ipynb", "data/**/*.md", "grmu/**/*.*")

pytestmark = [
    pytest.mark.skipif(not all(map(find_spec, EXTRA)), reason="the extra `site` is not installed: make site"),
    pytest.mark.skipif(not MATHJAX.exists(), reason="MathJax was not fetched yet: make site")]


class Page(HTMLParser):
    """The links, resources and texts of a page, and the names to which links can lead."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links, self.loaded, self.images, self.names, self.tag = [], [], [], set(), ""
        self.words = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found, self.tag = dict(attributes), tag
        self.names |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag == "img":
            self.images.append((found["src"], found.get("alt")))
        self.loaded += [found[key] for key in ("src", "href", "srcset", "data", "poster")
                        if tag != "a" and found.get(key)]
        self.words += found.get("style") or ""

    def handle_data(self, data):
        if self.tag == "style":
            self.words += data


@pytest.fixture(scope="module")
def site():
    """The folder build/site, as `make site` built it."""
    made, read = BUILT / "searchindex.js", [path for one in SOURCES for path in REPOSITORY.glob(one)]
    written = [path.stat().st_mtime for path in read if path.suffix != ".pyc"]
    if not made.exists() or max(written) > made.stat().st_mtime:
        pytest.skip("build/site is missing, or older than what it is made of: make site")
    return BUILT


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts}


def elsewhere(address: str) -> bool:
    return bool(urlsplit(address).scheme or address.startswith("//"))


def test_the_site_has_the_lessons_and_the_pages_for_users_but_none_for_developers(site, pages):
    lessons = [path for path in pages if path.parent.name == "notebooks" and path.name[:2].isdigit()]
    assert [path.stem for path in lessons] == sorted(p.stem for p in REPOSITORY.glob("notebooks/[01]*.ipynb"))
    names = {path.stem for path in pages}
    assert {path.stem for path in REPOSITORY.glob("docs/*.md")} <= names
    assert {"claims", "small-scale", "LICENSES", "search"} <= names
    assert names.isdisjoint({"CONTRIBUTING", "CHANGELOG"})


def test_the_reference_has_what_users_call_and_every_method(site, pages):
    called = {f"grmu.{name}" for name in grmu.__all__}
    methods = {f"{cls.__module__}.{cls.__name__}" for cls in map(get, registry)}
    assert called | methods <= pages[site / "docs" / "site" / "functions.html"].names


def test_every_link_leads_to_a_page_and_to_a_place_in_it(site, pages):
    @cache
    def names(path):
        return pages[path].names if path in pages else set()

    lost = []
    for path, page in pages.items():
        for link in (link for link in page.links if not elsewhere(link)):
            file, place = urldefrag(unquote(link))
            target = (path.parent / file).resolve() if file else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists() or (place and not place.startswith("v=") and place not in names(target)):
                lost.append(f"{path.relative_to(site)}: {link}")
    assert lost == []


def test_every_image_is_there_and_has_words(site, pages):
    shown = [(path, *image) for path, page in pages.items() for image in page.images]
    assert len(shown) > 50
    missing = [f"{path.relative_to(site)}: {src}" for path, src, _ in shown
               if not src.startswith("data:") and not (path.parent / unquote(src)).exists()]
    wordless = [f"{path.relative_to(site)}: {alt}" for path, _, alt in shown
                if not alt or re.search(r"\.(png|svg|jpe?g)$|_images/", alt)]
    assert missing == wordless == []


def test_no_page_asks_another_host_for_anything(site, pages):
    asked = [f"{path.relative_to(site)}: {address}" for path, page in pages.items() for address in page.loaded
             if elsewhere(address) and not address.startswith("data:")]
    asked += [str(path.relative_to(site)) for path, page in pages.items()
              if re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", page.words)]
    asked += [str(path.relative_to(site)) for path in site.rglob("*.css")
              if re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", path.read_text(encoding="utf-8"))]
    assert asked == []


def test_a_lesson_links_its_notebook_as_it_is_committed(site, pages):
    for path in site.glob("notebooks/[01]*.html"):
        (link,) = {link for link in pages[path].links if link.endswith(".ipynb") and not elsewhere(link)}
        assert (path.parent / link).read_bytes() == (REPOSITORY / "notebooks" / Path(link).name).read_bytes()


def test_a_lesson_leads_to_its_slides_and_a_repository_to_colab_and_binder(site, pages, monkeypatch):
    assert f"../slides/{LESSON.stem}.html" in pages[site / "notebooks" / f"{LESSON.stem}.html"].links
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/course")
    conf = runpy.run_path(REPOSITORY / "docs" / "conf.py")
    template = Environment(autoescape=True).from_string(
        (REPOSITORY / "docs" / "site" / "_templates" / "notebook.html").read_text(encoding="utf-8"))
    shown = template.render(pagename=f"notebooks/{LESSON.stem}", sourcename=f"notebooks/{LESSON.name}",
                            pathto=lambda *where: where[0], **conf["html_context"])
    links = re.findall(r'href="(https:[^"]+)"', shown)
    assert links == [f"https://colab.research.google.com/github/owner/course/blob/colab/{LESSON.name}",
                     f"https://mybinder.org/v2/gh/owner/course/main?labpath=notebooks/{LESSON.name}"]


def test_on_colab_a_lesson_first_installs_the_wheel_of_its_release(monkeypatch):
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/course")
    monkeypatch.syspath_prepend(REPOSITORY / "docs")
    import build_site

    wheel = runpy.run_path(REPOSITORY / "docs" / "conf.py")["WHEEL"]
    assert wheel == (f"https://github.com/owner/course/releases/download/v{grmu.__version__}/"
                     f"grmu-{grmu.__version__}-py3-none-any.whl")
    there, here = build_site.for_colab(LESSON, wheel), nbformat.read(LESSON, as_version=4)
    code = [cell for cell in there.cells if cell.cell_type == "code"]
    assert wheel in code[0].source
    assert code[1:] == [cell for cell in here.cells if cell.cell_type == "code"]
    ran = []
    monkeypatch.setattr("builtins.get_ipython", lambda: SimpleNamespace(
        run_line_magic=lambda *what: ran.append(what)), raising=False)
    exec(TransformerManager().transform_cell(code[0].source), {})
    assert ran == []  # the course is here
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    exec(TransformerManager().transform_cell(code[0].source), {})
    assert ran == [("pip", f"install --quiet {wheel}")]


def test_the_landing_page_has_the_readmes_picture_its_entry_points_and_the_explorer(site, pages):
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    alt = " ".join(re.search(r"!\[(.*?)\]\(docs/effect.png\)", readme, re.DOTALL)[1].split())
    text, page = (site / "index.html").read_text(encoding="utf-8"), pages[site / "index.html"]
    assert alt in {" ".join((words or "").split()) for _, words in page.images}
    entries = re.findall(r"^### (\w+)", readme, re.MULTILINE)
    assert len(entries) == 4
    assert re.findall(r"<h3>(\w+)", text)[:4] == entries
    assert "data-grmu-explorer" in text
    assert "explorer.html" in page.links

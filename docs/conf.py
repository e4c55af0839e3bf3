"""What Sphinx needs to know of the site. docs/build_site.py copies it beside the pages that it puts
together, and calls it there."""

import os
import re
import tomllib
from importlib.util import find_spec
from pathlib import Path

from myst_nb.core.render import NbElementRenderer

import grmu

# The repository on GitHub, "owner/name": there a workflow names its own. Without it, no page links to GitHub,
# Colab or Binder. The wheel is attached to the release of this version; .github/workflows say who puts it
# there, and lessons that install it on the branch `colab`.
SLUG = os.environ.get("GITHUB_REPOSITORY", "")
WHEEL = (f"https://github.com/{SLUG}/releases/download/v{grmu.__version__}/"
         f"grmu-{grmu.__version__}-py3-none-any.whl")
RAW = f"https://raw.githubusercontent.com/{SLUG}/main"
ELSEWHERE = {
    "Colab": f"https://colab.research.google.com/github/{SLUG}/blob/colab/",
    "Binder": f"https://mybinder.org/v2/gh/{SLUG}/main?labpath=notebooks/",
} if SLUG else {}

project = html_title = "Group-robust machine unlearning"
author, language = "The grmu contributors", "en"
extensions = ["myst_nb", "sphinx.ext.napoleon", "autoapi.extension", "sphinx.ext.mathjax"]
exclude_patterns = ["README.md"]  # pages include parts of it
default_role = "code"

myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # what lessons show is what is committed, and tested
nb_merge_streams = True
nb_ipywidgets_js = {}  # sliders need a kernel, and would ask another host for their code
mathjax_path = "tex-svg.js"

autoapi_dirs = find_spec("grmu").submodule_search_locations
autoapi_root = "api"
autoapi_options = ["members", "show-inheritance", "show-module-summary"]
autoapi_add_toctree_entry = False
autoapi_python_class_content = "both"
suppress_warnings = ["autoapi.python_import_resolution"]

html_theme = "pydata_sphinx_theme"
templates_path = ["docs/site/_templates"]
html_static_path = ["docs/site/_static", "_static"]
html_css_files, html_favicon = ["site.css"], "docs/site/_static/icon.svg"
html_js_files = [("site.js", {"defer": "defer"})]
html_context = {"default_mode": "auto", "elsewhere": ELSEWHERE}
html_extra_path = ["explorer.html"]
html_sourcelink_suffix = ""  # so that a lesson's source is its notebook, by its name
html_sidebars = {"index": []}
html_theme_options = {
    "article_header_end": ["notebook"],
    "collapse_navigation": True,
    "logo": {"text": "Group-robust unlearning"},
    "footer_start": ["copyright"], "footer_end": [],
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "show_toc_level": 2,
} | ({"github_url": f"https://github.com/{SLUG}"} if SLUG else {})
copyright = "the grmu contributors, MIT licence"

plain_image = NbElementRenderer.render_image


def render_image(self, data):
    """A figure with the alt text that its output's metadata hold."""
    images = plain_image(self, data)
    if alt := data.output_metadata.get(data.mime_type, {}).get("alt"):
        images[0]["alt"] = alt
    return images


NbElementRenderer.render_image = render_image


def corners(app, pagename, templatename, context, doctree):
    """The empty corner of a table is no header."""
    empty = r"<th\b([^>]*)>(?:\s|&nbsp;|<p></p>)*</th>"
    context["body"] = re.sub(empty, r"<td\1></td>", context.get("body", ""))


SET = tomllib.loads(next(Path(__file__).parent.glob("**/equations.toml")).read_text(encoding="utf-8"))
EQUATIONS = [(re.compile(r"\s+".join(map(re.escape, one["plain"].split()))), " ".join(one["tex"].split()))
             for one in SET["equation"]]


def literal(app, what, name, obj, options, lines):
    """Docstrings are plain text: marks of reStructuredText stand for themselves, indented lines for code, and
    equations of docs/site/equations.toml are set."""
    blocks = re.split(r"\n\s*\n", "\n".join(lines).strip("\n"))
    for at, block in enumerate(blocks):
        if block.startswith("    "):
            set_ = next((tex for plain, tex in EQUATIONS if plain.fullmatch(block.strip())), None)
            blocks[at] = f".. math::\n\n    {set_}" if set_ else f"::\n\n{block}"
            continue
        if not block.partition("\n")[0].endswith(":"):  # not the arguments: lines hang, no list is meant
            block = re.sub(r"\n {4,}", "\n", block)
        for number, (plain, _) in enumerate(EQUATIONS):
            block = plain.sub(f"\0{number}\0", block)
        block = re.sub(r"([*|]|(?<=\w)_(?!\w))", r"\\\1", block)
        blocks[at] = re.sub("\0(\\d+)\0", lambda found: f":math:`{EQUATIONS[int(found[1])][1]}`", block)
    lines[:] = "\n\n".join(blocks).split("\n")


def setup(app):
    """Docstrings before napoleon, which brings marks of its own."""
    app.connect("html-page-context", corners)
    app.connect("autodoc-process-docstring", literal, priority=400)

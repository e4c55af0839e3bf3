"""Configure Sphinx for the site.

docs/build_site.py copies this file beside the pages that it collects, and runs Sphinx there.
"""

import os
import re

from myst_nb.core.render import NbElementRenderer

import grmu

# The repository on GitHub, "owner/name", which GitHub sets in its workflows. Without it, no page links to
# GitHub, Colab or Binder. The workflows in .github attach the wheel to the release of this version, and put
# the lessons that install it on the branch `colab`.
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
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode",
              "sphinx.ext.mathjax"]
exclude_patterns = ["README.md"]  # other pages include parts of it
default_role = "code"

myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # because the committed outputs are tested
nb_merge_streams = True
nb_ipywidgets_js = {}  # sliders need a kernel, and would load code from another host
mathjax_path = "tex-svg.js"

autodoc_member_order, autodoc_typehints = "bysource", "description"
autodoc_typehints_description_target = "documented"
maximum_signature_line_length, toc_object_entries_show_parents = 88, "hide"
html_use_index = False

html_theme = "pydata_sphinx_theme"
templates_path = ["docs/site/_templates"]
html_static_path = ["docs/site/_static", "_static"]
html_css_files, html_favicon = ["site.css"], "docs/site/_static/icon.svg"
html_js_files = [("site.js", {"defer": "defer"})]
html_context = {"default_mode": "auto", "elsewhere": ELSEWHERE}
html_extra_path = ["explorer.html"]
html_sourcelink_suffix = ""  # so that the source of a lesson keeps the name of its notebook
html_sidebars = {"**": ["sidebar-nav-bs", "page-toc"], "index": []}
html_theme_options = {
    "article_header_end": ["notebook"],
    "collapse_navigation": True,
    "logo": {"text": "Group-robust unlearning"},
    "footer_start": ["copyright"], "footer_end": [],
    "navbar_persistent": ["search-button-field"],
    "secondary_sidebar_items": [],
    "show_toc_level": 2,
} | ({"github_url": f"https://github.com/{SLUG}"} if SLUG else {})
copyright = "the grmu contributors, MIT licence"

plain_image = NbElementRenderer.render_image


def render_image(self, data):
    """Render a figure with the alt text in its output's metadata."""
    images = plain_image(self, data)
    if alt := data.output_metadata.get(data.mime_type, {}).get("alt"):
        images[0]["alt"] = alt
    return images


NbElementRenderer.render_image = render_image


def corners(app, pagename, templatename, context, doctree):
    """Replace empty header cells of tables by data cells, because an empty header is not accessible."""
    empty = r"<th\b([^>]*)>(?:\s|&nbsp;|<p></p>)*</th>"
    context["body"] = re.sub(empty, r"<td\1></td>", context.get("body", ""))


def formulas(app, what, name, obj, options, lines):
    """Show the indented paragraphs of a docstring, which are formulas and code, as they stand."""
    for at in reversed(range(1, len(lines))):
        if lines[at].startswith("    ") and not lines[at - 1]:
            lines[at:at] = ["::", ""]


def setup(app):
    """Connect the handlers; docstrings are changed before napoleon, because napoleon adds markup."""
    app.connect("html-page-context", corners)
    app.connect("autodoc-process-docstring", formulas, priority=400)

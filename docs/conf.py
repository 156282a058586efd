"""Sphinx settings: ``sphinx-build -W docs docs/_build/html`` from the top of the repository.

Building runs the scripts of ``examples`` and keeps their pictures; ``-D plot_gallery=0`` does not.
"""

import os
import re
import sys
from pathlib import Path

import matplotlib
from sphinx.errors import ExtensionError

matplotlib.use("Agg")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_extensions")]
os.environ.setdefault("OMP_NUM_THREADS", "2")  # examples need no more

import fastgmm  # noqa: E402

project = "fastgmm"
author = "The fastgmm developers"
copyright = author
version = release = fastgmm.__version__

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "mathml",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
]
html_math_renderer = "mathml"
root_doc = "index"
exclude_patterns = ["_build", "examples", "backreferences", "auto_examples/**.[ip]*"]
templates_path = ["_templates"]
default_role = "literal"
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

plot_formats = [("png", 150)]
plot_html_show_formats = plot_html_show_source_link = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"\.py$",
    "subsection_order": ["../examples/lessons", "../examples/gallery"],
    "within_subsection_order": "reading_order.ReadingOrder",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
    "show_signature": False,
    "remove_config_comments": True,
    # The pages of functions show the examples that call them, and code links to those pages.
    "doc_module": ("fastgmm",),
    "reference_url": {"fastgmm": None},
    "backreferences_dir": "backreferences",
}

html_theme = "pydata_sphinx_theme"
html_title = f"fastgmm {version}"
html_static_path = ["_static"]
html_css_files = ["fastgmm.css"]
html_show_sourcelink = False
html_sidebars = {"**": ["globaltoc"]}
html_theme_options = {
    "navbar_center": [],
    "navbar_persistent": [],
    "navbar_end": ["search-button", "theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}


def link_to_gallery(app, docname, source):
    """Links to scripts, as they are in the repository, become links to their pages."""
    source[0] = re.sub(r"\(\.\./examples/([\w/]+)\.py\)", r"(auto_examples/\1.rst)", source[0])


def add_pages(app, docname, source):
    """The table of contents ends with the pages that it does not name."""
    if docname == root_doc:
        named = set(source[0].split())
        others = sorted(path.stem for path in Path(app.srcdir).glob("*.md"))
        rest = [name for name in others if name not in named | {root_doc}]
        source[0] = source[0].replace("\n*\n", "\n" + "".join(f"{name}\n" for name in rest))


def add_report(app, docname, source):
    """The page on performance shows the drawings of the report, which is a page by itself."""
    if docname == "performance":
        report = (Path(app.srcdir) / "performance.html").read_text(encoding="utf-8")
        shown = ""
        for section in re.findall(r"<section.*?</section>", report, re.S):
            if drawings := re.findall(r"<figure.*?</figure>", section, re.S):
                head, text = re.search(r"<h2>(.*?)</h2><p>(.*?)</p>", section, re.S).groups()
                shown += (
                    f"<h3>{head}</h3><p>{text}</p><div class='drawings'>{''.join(drawings)}</div>"
                )
        if not shown:
            raise ExtensionError("docs/performance.html has no drawings to show")
        raw = f"```{{raw}} html\n<div class='report'>{shown}</div>\n```\n"
        source[0] = source[0].replace("<!-- the report's drawings -->\n", raw)


def setup(app):
    app.connect("source-read", add_report)
    app.connect("source-read", link_to_gallery)
    app.connect("source-read", add_pages)

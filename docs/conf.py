"""Sphinx settings: ``sphinx-build docs docs/_build``."""

project = "fastgmm"
author = "The fastgmm developers"
extensions = ["myst_parser"]
root_doc = "index"
exclude_patterns = ["_build"]
# The index links to the pages in its text, so that it reads as well without Sphinx.
suppress_warnings = ["toc.not_included"]

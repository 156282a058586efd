"""Formulas as MathML, which browsers draw by themselves: no script, no font, no network.

The conversion is that of docutils.
"""

import re

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

_UNBRACED = re.compile(r"(\\[dt]?frac)\s*(\d)\s*(\w)")
"""A fraction such as \\frac12, whose digits the converter takes for one number."""

_APPLY = "<mo>&ApplyFunction;</mo>"
"""Between a function and its argument: browsers leave no space there."""


def _formula(self, node, block):
    text = _UNBRACED.sub(r"\1{\2}{\3}", node.astext())
    try:
        formula = tex2mathml(text, as_block=block)
    except MathError as error:
        logging.getLogger(__name__).warning("no formula: %s: %s", text, error, location=node)
    else:
        self.body.append(formula.replace(_APPLY, _APPLY + '<mspace width="0.17em"></mspace>'))
    raise nodes.SkipNode


def _inline(self, node):
    _formula(self, node, block=False)


def _display(self, node):
    self.body.append(self.starttag(node, "div", CLASS="math"))
    try:
        _formula(self, node, block=True)
    finally:
        self.body.append("</div>\n")


def setup(app):
    """Make it a renderer for `html_math_renderer`."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"parallel_read_safe": True}

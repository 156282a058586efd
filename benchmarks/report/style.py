"""How the page and its drawings look: one palette, light background, no more ink than needed."""

from typing import Any

from matplotlib import rc_context

# Okabe and Ito's palette: distinct for colour-blind readers, and in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#AA4499")
MARKERS = ("o", "s", "^", "D")
INK, GREY, LIGHT = "#222222", "#666666", "#dddddd"

PAGE = """
:root { color-scheme: light; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 64rem; background: #fff; color: #222;
  font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", Verdana, sans-serif; }
h1 { margin: 0 0 .2rem; font-size: 1.8rem; }
h2 { margin: 2.6rem 0 .3rem; font-size: 1.25rem; }
h3 { margin: 1rem 0 0; font-size: 1rem; }
p { margin: .3rem 0 .8rem; max-width: 46rem; }
.facts { color: #666; font-size: .9rem; }
.worse { color: #b04000; white-space: nowrap; } .better { color: #00704f; white-space: nowrap; }
.drawings { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); }
figure { margin: 0; }
svg { display: block; width: 100%; height: auto; }
details { margin-top: .5rem; }
summary { cursor: pointer; color: #666; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; line-height: 1.3; margin: .6rem 0; }
th, td { padding: .2rem .8rem .2rem 0; text-align: right; vertical-align: top; }
th:first-child, td:first-child { text-align: left; }
th { color: #666; font-weight: 600; border-bottom: 1px solid #ddd; }
small { color: #666; }
.bar { display: block; height: .25rem; margin: .1rem 0 0 auto; background: #0072B2; }
@media (max-width: 40rem) {
  table { font-size: .8rem; } th, td { padding-right: .4rem; } h1 { font-size: 1.4rem; } }
"""

_SETTINGS: Any = {
    "svg.fonttype": "none",  # text stays text
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": LIGHT,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "text.color": INK,
    "lines.linewidth": 2,
}


def styled() -> Any:
    """Context in which figures are made and drawn."""
    return rc_context(_SETTINGS)

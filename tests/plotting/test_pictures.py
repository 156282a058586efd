"""Some pictures as a whole, beside those in the folder ``pictures``.

After a change that is meant, look at what is drawn and keep it:
``FASTGMM_KEEP_PICTURES=1 pytest tests/plotting/test_pictures.py``
"""

import os
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.testing.compare import compare_images

from fastgmm import plotting

KEPT = Path(__file__).parent / "pictures"

#: Root of the mean square difference of colours, of 255: fonts and lines differ by some five from
#: one version of matplotlib to another, a missing ellipse by more than ten.
TOLERANCE = 8.0

DRAWN = {
    "components": lambda model, rows, ax: plotting.components(model, rows, ax=ax),
    "density": lambda model, rows, ax: plotting.density(model, ax=ax),
    "responsibilities": lambda model, rows, ax: plotting.responsibilities(model, rows, ax=ax),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_is_what_was_looked_at(name, model, rows, tmp_path):
    figure = Figure(figsize=(3.2, 2.4), layout="constrained")
    DRAWN[name](model, rows, figure.subplots())
    for ax in figure.axes:
        if ax.get_legend():
            ax.get_legend().remove()  # words differ by their fonts
    drawn = tmp_path / f"{name}.png"
    figure.savefig(drawn, dpi=60)
    if os.environ.get("FASTGMM_KEEP_PICTURES"):
        figure.savefig(KEPT / drawn.name, dpi=60, metadata={"Software": None})
    assert compare_images(str(KEPT / drawn.name), str(drawn), TOLERANCE) is None


def test_a_picture_that_lacks_an_ellipse_is_told(model, rows, tmp_path):
    figure = Figure(figsize=(3.2, 2.4), layout="constrained")
    ax = figure.subplots()
    plotting.components(model, rows, levels=(0.5,), ax=ax)
    ax.get_legend().remove()
    figure.savefig(tmp_path / "other.png", dpi=60)
    assert compare_images(str(KEPT / "components.png"), str(tmp_path / "other.png"), TOLERANCE)

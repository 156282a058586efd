"""The pictures of the README: ``python docs/pictures.py`` from the top of the repository.

What they say of speed is read from the tables of ``docs/performance.md``, and nowhere else.
"""

import re
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from sklearn.datasets import load_iris

import fastgmm
from fastgmm import plotting

HERE = Path(__file__).resolve().parent
PICTURES = HERE / "_static"
TIMES = "\N{MULTIPLICATION SIGN}"
SHAPE = re.compile(r"[\d,]+, \d+, \d+")
ITERATIONS = "| full: rows, features, components | scikit-learn "
FITS = "| whole fit | scikit-learn "


def table(heading):
    """Rows of a table of the page on performance: the shape, and its cells."""
    text = (HERE / "performance.md").read_text(encoding="utf-8")
    lines = text[text.index(heading) :].split("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if SHAPE.fullmatch(row[0])]


def speed_ups():
    """Speed-ups of EM iterations, and of whole fits, by shape."""
    return [{row[0]: float(row[3]) for row in table(heading)} for heading in (ITERATIONS, FITS)]


def milliseconds():
    """Of an EM iteration on two threads, by the numbers of rows, features and components."""
    return {
        tuple(int(number.replace(",", "")) for number in row[0].split(", ")): float(
            row[2].removesuffix(" ms")
        )
        for row in table(ITERATIONS)
    }


def draw_speed():
    """Bars of both, per shape."""
    iterations, fits = speed_ups()
    figure = Figure(figsize=(7.4, 3.1), layout="constrained")
    ax = figure.subplots()
    for shift, (name, ratios, colour) in enumerate(
        (("EM iteration", iterations, "#0072B2"), ("whole fit", fits, "#E69F00"))
    ):
        places = [row + 0.4 * shift - 0.2 for row in range(len(iterations))]
        values = [ratios[shape] for shape in iterations]
        bars = ax.barh(places, values, 0.38, label=name, color=colour)
        ax.bar_label(bars, [f"{value:.3g}" for value in values], padding=3, size=8)
    ax.axvline(1, color="black", lw=1)
    ax.set_xscale("log")
    ax.set_xlim(0.8, 300)
    ax.set_xticks([1, 10, 100], ["1", "10", "100"])
    ax.set_yticks(
        range(len(iterations)), [shape.replace(", ", f" {TIMES} ") for shape in iterations]
    )
    ax.invert_yaxis()
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("times scikit-learn's speed, full covariance, two threads each")
    ax.set_title(f"rows {TIMES} features {TIMES} components", loc="left", size=9)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(loc="lower right", frameon=False)
    save(figure, "speed")


def draw_irises():
    """A fit that the choice of mclust found: components, and the density."""
    iris = load_iris(as_frame=True)
    selection = fastgmm.select(iris.data, range(1, 6), ["full", "VEV"], random_state=0)
    model = selection.fits[3, "VEV"]
    figure = Figure(figsize=(8.4, 3.3), layout="constrained")
    left, right = figure.subplots(1, 2)
    plotting.components(model, iris.data, features=(2, 3), ax=left)
    plotting.density(model, iris.data, features=(2, 3), ax=right)
    save(figure, "irises")


def save(figure, name):
    """Draw it in 64 colours, so that the file stays small."""
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(110)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    picture.quantize(64, dither=Image.Dither.NONE).save(PICTURES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    draw_speed()
    draw_irises()

"""``--plot``: a picture in a file."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from fastgmm.cli.files import check_output
from fastgmm.files.atomic import replacing
from fastgmm.sources.optional import import_optional

_SUFFIXES = (".png", ".pdf", ".svg")

_DOTS_PER_INCH = 150


def _plot(shows: str) -> Any:
    """Option for a picture."""
    help = f"Picture to write, ending in .png, .pdf or .svg: {shows}."
    return Annotated[Path | None, typer.Option(metavar="FILE", help=help)]


Plot = _plot("the components over the rows, in all pairs of the first six features")
PlotOfCriterion = _plot("the criterion by the number of components, a line for each structure")


def check_picture(path: Path | None, inputs: Iterable[Path]) -> None:
    """Check, before any work is done, that a picture can be drawn and written.

    Parameters
    ----------
    path : Path or None
        None is none to write.
    inputs : iterable of Path
        What the command also reads or writes.

    Raises
    ------
    ImportError
        If there is no matplotlib.
    ValueError
        If it is no file for a picture, or would overwrite something else.
    OSError
        If it cannot be written.
    """
    if path is None:
        return
    if path.suffix.lower() not in _SUFFIXES:
        raise ValueError(f"--plot {path}: a picture ends in one of {', '.join(_SUFFIXES)}.")
    import_optional("matplotlib", "--plot", "plot")
    check_output(path, inputs)


def write_picture(path: Path, figure: Any) -> None:
    """Write a figure, as a whole or not at all.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    with replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix.lower()[1:], dpi=_DOTS_PER_INCH)

"""``fastgmm fit``: a mixture from files of rows."""

import shlex
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from sklearn.exceptions import ConvergenceWarning

from fastgmm.cli import options
from fastgmm.cli.cluster import work_on_cluster
from fastgmm.cli.errors import note
from fastgmm.cli.files import check_output, told_written
from fastgmm.cli.picture import Plot, check_picture, write_picture
from fastgmm.cli.progress import Progress, progress_of
from fastgmm.cli.report import (
    AsJson,
    Wide,
    bound_name,
    counted,
    describe,
    parameters_of,
    print_json,
    text_of,
)
from fastgmm.cli.rows import Data, RowOptions, open_rows
from fastgmm.cli.shared import with_options
from fastgmm.saved import DEFAULT_SECONDS
from fastgmm.saved.checkpoints import has_begun
from fastgmm.sources.base import RowSource

Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="File to write the model to, say model.npz.")
]
CheckpointFile = Annotated[
    Path | None,
    typer.Option(
        help="File that keeps the state of the run: the same command goes on from it, and ends "
        "with the same bits."
    ),
]
CheckpointEvery = Annotated[
    float, typer.Option(metavar="SECONDS", min=0, help="Least time between two checkpoints.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors and warnings only.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print a line per iteration, beside any bar.")
]


@with_options(options.Arguments, RowOptions, before="as_json")
def fit(
    context: typer.Context,
    data: Data,
    n_components: options.NComponents,
    out: Out = None,
    plot: Plot = None,
    checkpoint: CheckpointFile = None,
    checkpoint_every: CheckpointEvery = DEFAULT_SECONDS,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    wide: Wide = False,
) -> None:
    """Fit a mixture to the rows of files, in bounded memory."""
    model = options.make_estimator(context.params)
    check_output(out, data, "model")
    written = [*data, *([] if out is None else [out])]
    check_output(checkpoint, written, "checkpoint")
    check_picture(plot, [*written, *([] if checkpoint is None else [checkpoint])])
    progress = progress_of(quiet, verbose, model.max_iter, model.n_init, bound_name(model))
    model._listener = progress
    work_on_cluster(context)
    began = time.perf_counter()
    with _going_on(progress, checkpoint):
        rows, known = open_rows(RowOptions.of(context))
        progress.opened(rows)
        model.fit(rows, labels=known, checkpoint=checkpoint, checkpoint_every=checkpoint_every)
    if out is not None:
        model.save(out)
    seconds = time.perf_counter() - began
    rows.on_read = None  # the bar of the fit is done
    drawn = None
    try:
        if plot is not None:
            from fastgmm.plotting.overview import overview  # matplotlib takes half a second

            write_picture(plot, overview(model, rows))
            drawn = plot
    finally:  # whatever becomes of the picture, the fit is told of
        _warn(model)
        if as_json:
            print_json(_document(model, rows, seconds, out))
        elif not quiet:
            typer.echo(_text(model, rows, seconds, wide) + told_written(out, drawn))


def _text(model: Any, rows: RowSource, seconds: float, wide: bool) -> str:
    """What is printed of a fit."""
    bic = _bic(model, rows)
    criterion = "" if bic is None else f"BIC {bic:.6g}; "
    took = f"{counted(rows.n_rows, 'row')} in {seconds:.1f} s"
    table = text_of(model, n_features_shown=model.n_features_in_ if wide else None)
    return f"{table}\n{criterion}{took}"


def _warn(model: Any) -> None:
    """Say what a user should know about a fit that ended well."""
    if model.diagnostics_:
        note(f"warning: {len(model.diagnostics_)} times EM was kept from failing; see --json.")
    if not model.converged_:
        note(f"warning: not converged after {model.n_iter_} iterations; see --max-iter and --tol.")


@contextmanager
def _going_on(progress: Progress, checkpoint: Path | None) -> Iterator[None]:
    """Show progress, and say, if the fit is interrupted, how to go on."""
    try:
        with progress, warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # said at the end
            yield
    except KeyboardInterrupt as error:
        error.args = (_how_to_go_on(progress.iteration, checkpoint),)
        raise


def _how_to_go_on(iteration: int, checkpoint: Path | None) -> str:
    if checkpoint is None:
        return "interrupted; nothing is kept, but is with --checkpoint FILE"
    if not has_begun(checkpoint):
        return "interrupted before the first iteration; nothing is kept"
    command = shlex.join(["fastgmm", *sys.argv[1:]])
    return f"interrupted in iteration {iteration + 1}; {checkpoint} is kept. Go on by: {command}"


def _bic(model: Any, rows: RowSource) -> float | None:
    """Bayesian information criterion, by one more pass; None for models that have none."""
    return float(model.bic(rows)) if hasattr(model, "bic") else None


def _document(model: Any, rows: RowSource, seconds: float, out: Path | None) -> dict[str, Any]:
    """What ``--json`` prints; with the parameters, if they are written nowhere else."""
    document = {
        **describe(model),
        "bic": _bic(model, rows),
        "n_rows": rows.n_rows,
        "seconds": round(seconds, 3),
        "out": None if out is None else str(out),
    }
    return document if out is not None else {**document, **parameters_of(model)}

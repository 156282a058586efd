"""``fastgmm fit``: a mixture from files of rows."""

import shlex
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from sklearn.exceptions import ConvergenceWarning

from fastgmm.cli import options
from fastgmm.cli.errors import note
from fastgmm.cli.files import check_output
from fastgmm.cli.progress import progress_of
from fastgmm.cli.report import (
    AsJson,
    bound_name,
    describe,
    parameters_of,
    print_json,
    text_of,
)
from fastgmm.cli.rows import (
    MEMORY_LIMIT,
    Columns,
    Data,
    Decimal,
    Delimiter,
    Labels,
    MemoryLimit,
    NoHeader,
    Text,
    Weight,
    open_rows,
)
from fastgmm.saved.checkpoints import DEFAULT_SECONDS, has_begun
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
Dtype = Annotated[
    str | None,
    typer.Option(metavar="TYPE", help="float32 or float64; float32 if all columns are."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors and warnings only.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print a line per iteration beside the bar.")
]


def fit(
    context: typer.Context,
    data: Data,
    n_components: options.NComponents,
    out: Out = None,
    checkpoint: CheckpointFile = None,
    checkpoint_every: CheckpointEvery = DEFAULT_SECONDS,
    covariance_type: options.CovarianceType = None,
    tol: options.Tol = None,
    max_iter: options.MaxIter = None,
    n_init: options.NInit = None,
    init_params: options.InitParams = None,
    reg_covar: options.RegCovar = None,
    on_failure: options.OnFailure = None,
    random_state: options.RandomState = None,
    n_jobs: options.NJobs = None,
    weights_init: options.WeightsInit = None,
    means_init: options.MeansInit = None,
    precisions_init: options.PrecisionsInit = None,
    noise: options.Noise = None,
    freeze: options.Freeze = None,
    bayesian: options.Bayesian = False,
    weight_concentration_prior_type: options.PriorType = None,
    weight_concentration_prior: options.Prior = None,
    mean_precision_prior: options.Prior = None,
    mean_prior: options.Numbers = None,
    degrees_of_freedom_prior: options.Prior = None,
    covariance_prior: options.Numbers = None,
    tol_per_sample: options.TolPerSample = False,
    columns: Columns = None,
    weight: Weight = None,
    labels: Labels = None,
    no_header: NoHeader = False,
    delimiter: Delimiter = ",",
    decimal: Decimal = ".",
    dtype: Dtype = None,
    memory_limit: MemoryLimit = MEMORY_LIMIT,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Fit a mixture to the rows of files, in bounded memory."""
    model = options.make_estimator(context.params, bayesian)
    check_output(out, data, "model")
    check_output(checkpoint, [*data, *([] if out is None else [out])], "checkpoint")
    text = Text(no_header, delimiter, decimal)
    opened = partial(open_rows, data, columns, weight, memory_limit, text, dtype, labels)
    progress = progress_of(quiet, verbose, model.max_iter, model.n_init, bound_name(model))
    began = time.perf_counter()
    n_rows = _run(model, opened, progress, checkpoint, checkpoint_every)
    if out is not None:
        model.save(out)
    _warn(model)
    seconds = time.perf_counter() - began
    if as_json:
        print_json(_document(model, n_rows, seconds, out))
    elif not quiet:
        typer.echo(_summary(model, n_rows, seconds, out))


def _run(
    model: Any,
    opened: Callable[[], tuple[RowSource, np.ndarray | None]],
    progress: Any,
    checkpoint: Path | None,
    checkpoint_every: float,
) -> int:
    """Fit to what is opened, and show how far it is; returns the number of rows."""
    model._listener = progress
    try:
        with progress, warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # said afterwards
            rows, labels = opened()
            progress.opened(rows)
            model.fit(rows, labels=labels, checkpoint=checkpoint, checkpoint_every=checkpoint_every)
    except KeyboardInterrupt as error:
        error.args = (_how_to_go_on(progress.iteration, checkpoint),)
        raise
    return rows.n_rows


def _warn(model: Any) -> None:
    """Say what a user should know about a fit that ended well."""
    if model.diagnostics_:
        note(f"warning: {len(model.diagnostics_)} times EM was kept from failing; see --json.")
    if not model.converged_:
        note(f"warning: not converged after {model.n_iter_} iterations; see --max-iter and --tol.")


def _how_to_go_on(iteration: int, checkpoint: Path | None) -> str:
    if checkpoint is None:
        return "interrupted; nothing is kept, but is with --checkpoint FILE"
    if not has_begun(checkpoint):
        return "interrupted before the first iteration; nothing is kept"
    command = shlex.join(["fastgmm", *sys.argv[1:]])
    return f"interrupted in iteration {iteration + 1}; {checkpoint} is kept. Go on by: {command}"


def _summary(model: Any, n_rows: int, seconds: float, out: Path | None) -> str:
    written = "" if out is None else f"; {out} written"
    return f"{text_of(model)}\n{n_rows} rows in {seconds:.1f} s{written}"


def _document(model: Any, n_rows: int, seconds: float, out: Path | None) -> dict[str, Any]:
    """What ``--json`` prints; with the parameters, if they are written nowhere else."""
    document = {
        **describe(model),
        "n_rows": n_rows,
        "seconds": round(seconds, 3),
        "out": None if out is None else str(out),
    }
    return document if out is not None else {**document, **parameters_of(model)}

"""``fastgmm predict``: labels, probabilities or log-likelihoods of rows."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from fastgmm.cli.files import Key, Model, check_output, load_fitted, set_missing_values
from fastgmm.cli.kept import beside
from fastgmm.cli.options import MissingToPredict, NJobs
from fastgmm.cli.rows import Data, RowOptions, open_rows_for
from fastgmm.cli.shared import with_options
from fastgmm.outputs import output_suffix

RowsOut = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="File ending in .npy, .parquet or .csv. Without it, or to -, CSV is printed.",
        callback=lambda path: None if path == Path("-") else path,
    ),
]


@with_options(RowOptions, before="n_jobs", but=("weight", "dtype", "dask"))
def predict(
    context: typer.Context,
    model: Model,
    data: Data,
    key: Key = None,
    out: RowsOut = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="The most probable component; the default.")
    ] = False,
    proba: Annotated[
        bool, typer.Option("--proba", help="The probabilities of all components.")
    ] = False,
    log_likelihood: Annotated[
        bool, typer.Option("--log-likelihood", help="The logarithm of the density.")
    ] = False,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME,...",
            help="Columns of the rows to copy beside the predictions, in this order, so that these "
            "can be joined.",
        ),
    ] = None,
    n_jobs: NJobs = None,
    missing_values: MissingToPredict = None,
) -> None:
    """Print or write something for every row: its component, or its density."""
    if labels + proba + log_likelihood > 1:
        raise typer.BadParameter("choose one of --labels, --proba and --log-likelihood")
    if out is not None:
        output_suffix(out)
    check_output(out, [model, *data])
    mixture = load_fitted(model, key).set_params(n_jobs=n_jobs)
    set_missing_values(mixture, missing_values)
    options = RowOptions.of(context)
    rows = open_rows_for(mixture, options)
    method = mixture.predict
    if proba:
        method = mixture.predict_proba
    elif log_likelihood:
        method = mixture.score_samples
    to = sys.stdout.buffer if out is None else out
    method(rows, out=to if keep is None else beside(to, options, rows))

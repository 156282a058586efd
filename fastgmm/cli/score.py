"""``fastgmm score``: how likely a model says that rows are."""

import typer

from fastgmm.cli.files import Key, Model, load_fitted, set_missing_values
from fastgmm.cli.options import MissingToPredict, NJobs
from fastgmm.cli.report import AsJson, print_json
from fastgmm.cli.rows import Data, RowOptions, open_rows_for
from fastgmm.cli.shared import with_options


@with_options(RowOptions, before="n_jobs", but=("labels", "dtype", "dask"))
def score(
    context: typer.Context,
    model: Model,
    data: Data,
    key: Key = None,
    n_jobs: NJobs = None,
    missing_values: MissingToPredict = None,
    as_json: AsJson = False,
) -> None:
    """Print the mean log-likelihood per row, in nats."""
    mixture = load_fitted(model, key).set_params(n_jobs=n_jobs)
    set_missing_values(mixture, missing_values)
    rows = open_rows_for(mixture, RowOptions.of(context))
    log_likelihood = mixture.score(rows)
    if as_json:
        total_weight = rows.total_weight
        print_json(
            {"log_likelihood": log_likelihood, "n_rows": rows.n_rows, "total_weight": total_weight}
        )
    else:
        typer.echo(repr(float(log_likelihood)))

"""``fastgmm select``: how many components, of which structure."""

import csv
import io
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

import fastgmm
from fastgmm.cli import options
from fastgmm.cli.cluster import work_on_cluster
from fastgmm.cli.errors import note
from fastgmm.cli.files import check_output, told_written
from fastgmm.cli.fit import Quiet
from fastgmm.cli.picture import PlotOfCriterion, check_picture, write_picture
from fastgmm.cli.report import AsJson, describe, parameters_of, print_json
from fastgmm.cli.rows import Data, RowOptions, open_rows
from fastgmm.cli.shared import with_options
from fastgmm.covariance import STRUCTURES
from fastgmm.files.atomic import atomic_write
from fastgmm.saved.checkpoints import has_begun
from fastgmm.selection.cell import COLUMNS
from fastgmm.selection.plan import CRITERIA
from fastgmm.starts import METHODS

_MOST_COMPONENTS = 1_000_000


def _numbers(text: str) -> list[int]:
    """Numbers from words such as 3, 1:10 and 1:10:2 between commas; ends are included."""
    numbers: list[int] = []
    for word in text.split(","):
        ends = word.split(":")
        if not all(end.strip().isdecimal() for end in ends) or len(ends) > 3:
            raise typer.BadParameter(f"{text!r} should be numbers, such as 1:10 or 2,3,5.")
        first, last, step = [*map(int, ends), 1, 1][:3] if len(ends) > 1 else [int(word)] * 2 + [1]
        if step < 1 or last < first:
            raise typer.BadParameter(f"{word!r} has no numbers in it.")
        if last > _MOST_COMPONENTS:
            raise typer.BadParameter(f"{word!r} goes beyond {_MOST_COMPONENTS} components.")
        numbers.extend(range(first, last + 1, step))
    return numbers


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def _list_of(help: str, *flags: str, parser: Callable[[str], list], metavar: str) -> Any:
    return typer.Option(*flags, help=help, parser=parser, metavar=metavar)


Numbers = Annotated[
    list,
    _list_of(
        "Numbers of components: 1:10 with both ends, 2,3,5, or both.",
        "--n-components",
        "-k",
        parser=_numbers,
        metavar="NUMBERS",
    ),
]
Structures = Annotated[
    list,
    _list_of(
        f"Between commas: {', '.join(STRUCTURES)}; or all.",
        "--covariance-type",
        parser=_words,
        metavar="TYPE,TYPE,...",
    ),
]
Starts = Annotated[
    list,
    _list_of(
        f"Starts, of which the best stays: {', '.join(METHODS)}.",
        "--init-params",
        parser=_words,
        metavar="METHOD,METHOD,...",
    ),
]

Criterion = Annotated[str, typer.Option(metavar="NAME", help=f"One of {', '.join(CRITERIA)}.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="File to write the best model to.")]
Table = Annotated[
    Path | None, typer.Option(help="File ending in .csv to write the table of all fits to.")
]
CheckpointFile = Annotated[
    Path | None,
    typer.Option(help="File that keeps the fits that are done: the same command goes on."),
]
Folds = Annotated[int, typer.Option(min=2, help="Folds of the criterion cv.")]
ShareStarts = Annotated[
    str | None, typer.Option(metavar="split", help="split: start from split components of fewer.")
]

_PASSED = (
    *("criterion", "cv", "share_starts", "random_state", "n_jobs", "checkpoint"),
    *("init_params", "tol", "max_iter", "n_init", "reg_covar", "on_failure"),
    *("noise", "missing_values", "accelerate"),
)
"""Options that are arguments of `fastgmm.select` by the same names."""

_NOT_PASSED = {*options.Arguments._fields} - {*_PASSED, "bayesian"}


@with_options(options.Arguments, RowOptions, before="as_json", but=_NOT_PASSED)
def select(
    context: typer.Context,
    data: Data,
    n_components: Numbers = "1:9",  # type: ignore[assignment]
    criterion: Criterion = "bic",
    covariance_type: Structures = "full,tied,diag,spherical",  # type: ignore[assignment]
    out: Out = None,
    table: Table = None,
    plot: PlotOfCriterion = None,
    checkpoint: CheckpointFile = None,
    cv: Folds = 5,
    share_starts: ShareStarts = None,
    init_params: Starts = "kmeans",  # type: ignore[assignment]
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Fit mixtures of several numbers of components and structures, and choose the best."""
    if table is not None and table.suffix != ".csv":
        raise typer.BadParameter(f"--table {table} should end in .csv")
    check_output(out, data, "model")
    check_output(table, [*data, *([] if out is None else [out])])
    others = [path for path in (out, table) if path is not None]
    check_picture(plot, [*data, *others])
    others += [] if plot is None else [plot]
    check_output(checkpoint, [*data, *others], "search")
    options_given = options.to_model(context.params)
    given = {name: options_given[name] for name in _PASSED if options_given[name] is not None}
    work_on_cluster(context)
    began = time.perf_counter()
    rows, known = open_rows(RowOptions.of(context))
    result = Result(rows.n_rows, began, out, table, plot, as_json, quiet)
    try:
        selection = fastgmm.select(
            rows,
            n_components,
            covariance_type,
            labels=known,
            estimator=fastgmm.BayesianGaussianMixture if context.params["bayesian"] else None,
            progress=not quiet,
            **given,
        )
    except KeyboardInterrupt as error:
        done = getattr(error, "selection", None)
        if done is not None:
            result.leave(done)
        error.args = (_how_to_go_on(done, checkpoint),)
        raise
    result.leave(selection)


class Result(NamedTuple):
    """Where a selection goes."""

    n_rows: int
    began: float
    out: Path | None
    table: Path | None
    plot: Path | None
    as_json: bool
    quiet: bool

    def leave(self, selection: Any) -> None:
        """Write and print it."""
        if self.out is not None:
            selection.best_estimator_.save(self.out)
        if self.table is not None:
            atomic_write(self.table, _table(selection).encode())
        if self.plot is not None:
            from matplotlib.figure import Figure  # which takes a while to import

            figure = Figure(layout="constrained")
            selection.plot(ax=figure.add_subplot())
            write_picture(self.plot, figure)
        seconds = time.perf_counter() - self.began
        if self.as_json:
            print_json(_document(selection, self.n_rows, seconds, self.out))
        elif not self.quiet:
            written = told_written(self.out, self.table, self.plot)
            typer.echo(f"{selection}\n{self.n_rows} rows in {seconds:.1f} s{written}")
        if selection.at_edge:
            note(f"warning: {selection.at_edge}.")


def _how_to_go_on(done: Any, checkpoint: Path | None) -> str:
    if checkpoint is not None and has_begun(checkpoint):
        command = shlex.join(["fastgmm", *sys.argv[1:]])
        return f"interrupted; {checkpoint} is kept. Go on by: {command}"
    if done is None:
        return "interrupted before the first fit was done; nothing is kept"
    return "interrupted; these are the fits that were done"


def _table(selection: Any) -> str:
    """The table as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(selection.records())
    return text.getvalue()


def _document(selection: Any, n_rows: int, seconds: float, out: Path | None) -> dict[str, Any]:
    """What ``--json`` prints; with the parameters of the best, if they are written nowhere else."""
    model = selection.best_estimator_
    best = {**describe(model), **({} if out is not None else parameters_of(model))}
    return {
        "criterion": selection.criterion,
        "greater_is_better": selection.greater_is_better,
        "best_index": selection.best_index_,
        "at_edge": selection.at_edge,
        "best": best,
        "table": selection.records(),
        "n_rows": n_rows,
        "seconds": round(seconds, 3),
        "out": None if out is None else str(out),
    }

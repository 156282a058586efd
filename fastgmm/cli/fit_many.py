"""``fastgmm fit-many``: a mixture for each group of rows, or for each file."""

import csv
import io
import shlex
import sys
import time
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

import fastgmm
from fastgmm.cli import options
from fastgmm.cli.cluster import work_on_cluster
from fastgmm.cli.errors import note
from fastgmm.cli.files import check_output, told_written
from fastgmm.cli.fit import CheckpointEvery, Quiet
from fastgmm.cli.report import AsJson, brief, counted, print_json
from fastgmm.cli.rows import Data, RowOptions, column_names, open_rows
from fastgmm.cli.shared import with_options
from fastgmm.files.atomic import atomic_write
from fastgmm.saved import DEFAULT_SECONDS
from fastgmm.saved.checkpoints import has_begun
from fastgmm.sources.base import RowSource
from fastgmm.sources.tables import joined_tables, without_holes

By = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,NAME,...",
        help="Columns that tell which rows belong together: one mixture for all that agree in "
        "them. The rows are read into memory. Without it, each file has its own mixture.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="File to write a row for each mixture to: .parquet has all models in it, which "
        "--key then names to the other commands; .csv their weights and means.",
    ),
]
CheckpointFile = Annotated[
    Path | None,
    typer.Option(help="File that keeps the fits that are done: the same command goes on."),
]


@with_options(options.Arguments, RowOptions, before="as_json", but=("labels", "dtype"))
def fit_many(
    context: typer.Context,
    data: Data,
    n_components: options.NComponents,
    by: By = None,
    out: Out = None,
    checkpoint: CheckpointFile = None,
    checkpoint_every: CheckpointEvery = DEFAULT_SECONDS,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Fit a mixture to each group of rows, or to each file, all in one call."""
    estimator = options.make_estimator(context.params)
    arguments = estimator.get_params()
    if out is not None and out.suffix.lower() not in (".parquet", ".csv"):
        raise typer.BadParameter(f"--out {out} should end in .parquet or .csv")
    check_output(out, data)
    check_output(checkpoint, [*data, *([] if out is None else [out])])
    work_on_cluster(context)
    began = time.perf_counter()
    given = RowOptions.of(context)
    rows = given._replace(dask=None)  # groups are made here
    sets, names = (_groups(rows, by), None) if by is not None else _files(rows, data)
    result = Result(began, out, as_json, quiet)
    try:
        report = fastgmm.fit_many(
            **sets,
            **arguments,
            estimator=type(estimator),
            progress=not quiet,
            checkpoint=checkpoint,
            checkpoint_every=checkpoint_every,
            engine=None if given.dask is None else "dask",
        )
    except KeyboardInterrupt as error:
        done = getattr(error, "report", None)
        if done is not None:
            result.leave(done, names)
        error.args = (_how_to_go_on(done, out, checkpoint),)
        raise
    result.leave(report, names)
    if len(report.failed) == len(report):
        raise ValueError(f"No mixture could be fitted. The first error: {brief(report.errors[0])}")


def _groups(rows: RowOptions, by: str) -> dict[str, Any]:
    """What to fit, as arguments of `fastgmm.fit_many`: the groups of a table."""
    table = joined_tables(rows.data, **rows.text)
    names = column_names(by, "by")
    weight, exclude = rows.weight, rows.names("exclude") or []
    unknown = [name for name in [*names, *exclude] if name not in table.column_names]
    if unknown:
        raise ValueError(f"There is no column {unknown[0]!r}; there are {table.column_names}.")
    columns = rows.names("columns")
    if columns is None:
        columns = [name for name in table.column_names if name not in (*names, weight)]
    columns = [name for name in columns if name not in exclude]
    if rows.missing_values == "drop":
        table = without_holes(table, columns)
    return {
        "datasets": table,
        "by": names[0] if len(names) == 1 else names,
        "columns": columns,
        "sample_weight": weight,
    }


def _files(rows: RowOptions, files: list[Path]) -> tuple[dict[str, Any], list[Any]]:
    """The rows of each file, as arguments of `fastgmm.fit_many`, and the names of its features."""
    if len(set(files)) < len(files):
        raise ValueError("A file is named twice.")
    datasets, weights, names = {}, {}, []
    for file, path in zip(map(str, files), rows.data, strict=True):
        source: RowSource = open_rows(rows._replace(data=[path]))[0]
        chunk = source.read(0, source.n_rows)
        datasets[file], weights[file] = chunk.rows, chunk.weights
        names.append(source.feature_names)
    weighted = rows.weight is not None
    return {"datasets": datasets, "sample_weight": weights if weighted else None}, names


class Result(NamedTuple):
    """Where a report goes."""

    began: float
    out: Path | None
    as_json: bool
    quiet: bool

    def leave(self, report: Any, names: list[Any] | None) -> None:
        """Write and print it, with the names of the features of files."""
        if names is not None:
            report.key_names = ["file"]
            for i, of_file in enumerate(names):
                report.name_features(i, of_file)
        if self.out is not None and self.out.suffix.lower() == ".csv":
            atomic_write(self.out, _table(report).encode())
        elif self.out is not None:
            report.save(self.out)
        seconds = time.perf_counter() - self.began
        for i in report.failed[:_MOST_SHOWN]:
            note(f"warning: {_named(report, i)}: {brief(report.errors[i])}")
        if len(report.failed) > _MOST_SHOWN:
            note(f"warning: and {len(report.failed) - _MOST_SHOWN} more failed.")
        n_failed = len(report.failed)
        n_open = int(np.sum(~report.converged_)) - n_failed
        if n_open:
            note(f"warning: {n_open} not converged; see --max-iter and --tol.")
        if self.as_json:
            print_json(_document(report, seconds, self.out))
        elif not self.quiet:
            failed = f", {n_failed} failed" if n_failed else ""
            fitted = counted(len(report) - n_failed, "mixture")
            rows = counted(int(report.n_rows_.sum()), "row")
            written = told_written(self.out)
            typer.echo(f"{fitted} fitted{failed}; {rows} in {seconds:.1f} s{written}")


_MOST_SHOWN = 5
"""Failed fits that are told of one by one."""


def _named(report: Any, i: int) -> str:
    key = report.keys[i] if len(report.key_names) > 1 else [report.keys[i]]
    return ", ".join(f"{n} {k!r}" for n, k in zip(report.key_names, key, strict=True))


def _how_to_go_on(done: Any, out: Path | None, checkpoint: Path | None) -> str:
    n_done = 0 if done is None else len(done) - len(done.failed)
    if checkpoint is not None and has_begun(checkpoint):
        command = shlex.join(["fastgmm", *sys.argv[1:]])
        return f"interrupted; {checkpoint} is kept. Go on by: {command}"
    if done is None:
        return "interrupted before the first fit was done; nothing is kept"
    kept = "; nothing is kept" if out is None else f"; they are in {out}"
    return f"interrupted after {counted(n_done, 'fit')}{kept}"


def _document(report: Any, seconds: float, out: Path | None) -> dict[str, Any]:
    """What ``--json`` prints."""
    return {
        "n_sets": len(report),
        "n_failed": len(report.failed),
        "key_names": report.key_names,
        "sets": [report.status(i)._asdict() for i in range(len(report))],
        "seconds": round(seconds, 3),
        "out": None if out is None else str(out),
    }


def _table(report: Any) -> str:
    """How every fit went, and the weights and means, as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    status = report.status(0)._fields[1:]
    fitted = np.flatnonzero([error is None for error in report.errors])
    first = report[int(fitted[0])] if len(fitted) else None
    k = 0 if first is None else report.weights_.shape[1]
    d = 0 if first is None else first.means_.shape[1]
    names = getattr(first, "feature_names_in_", range(d))
    weights = [f"weight_{c}" for c in range(k)]
    means = [f"mean_{c}_{name}" for c in range(k) for name in names]
    writer.writerow([*report.key_names, *status, *weights, *means])
    for i in range(len(report)):
        key = report.keys[i] if len(report.key_names) > 1 else [report.keys[i]]
        numbers = [] if first is None else [*report.weights_[i], *report.means_[i].ravel()]
        cells = [*report.status(i)[1:], *map(float, numbers)]
        writer.writerow([*key, *("" if cell != cell else cell for cell in cells)])
    return text.getvalue()

"""``fastgmm info``: what a file of fastgmm holds."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fastgmm.batch.files import job_of
from fastgmm.cli.files import Key, check_no_key, of_key
from fastgmm.cli.report import (
    AsJson,
    Wide,
    brief,
    counted,
    describe,
    parameters_of,
    print_json,
    text_of,
)
from fastgmm.files.container import is_table, read_file
from fastgmm.saved.checkpoints import read_checkpoint
from fastgmm.saved.models import load
from fastgmm.selection.files import read_search

_MOST_SETS = 20
"""Mixtures of a report that are told of one by one."""

KINDS = ("model", "statistics", "checkpoint", "selection", "search")


def info(
    file: Annotated[
        Path,
        typer.Argument(
            help="A model, statistics, a selection, a report of many fits or a checkpoint.",
            show_default=False,
        ),
    ],
    key: Key = None,
    as_json: AsJson = False,
    wide: Wide = False,
) -> None:
    """Print what a file holds; with --json, all parameters of a model, too."""
    kind = "report" if is_table(file) else read_file(file, KINDS).kind
    if kind != "report":
        check_no_key(file, key)
    if kind == "report" and key is None:
        document, text = _report(file)
    elif kind == "checkpoint":
        document, text = _checkpoint(file)
    elif kind in ("selection", "search"):
        document, text = _selection(file, kind)
    elif kind == "statistics":
        document, text = _statistics(file)
    else:
        model = load(file) if key is None else of_key(load(file), file, key)
        kind = "model"
        document = {**describe(model), **parameters_of(model)}
        text = text_of(model, getattr(model, "n_features_in_", None) if wide else None)
    if as_json:
        print_json({"kind": kind, **document})
    else:
        typer.echo(text)


def _checkpoint(file: Path) -> tuple[dict[str, Any], str]:
    run, _, state = read_checkpoint(file)
    result = state.best if state.finished else None
    bounds = state.lower_bounds
    document = {
        "finished": state.finished,
        "converged": None if result is None else result.converged,
        "start": state.restart + 1,
        "n_iter": len(bounds),
        "lower_bound": bounds[-1] if bounds else None,
        "run": run,
    }
    stands = "finished" if state.finished else f"in start {state.restart + 1}"
    lines = [
        f"Checkpoint of a fit, {stands}, after {len(bounds)} iterations"
        + (f"; lower bound {bounds[-1]:.6f}" if bounds else ""),
        *(f"  {name}: {value}" for name, value in run.items()),
    ]
    return document, "\n".join(lines)


def _selection(file: Path, kind: str) -> tuple[dict[str, Any], str]:
    if kind == "search":
        facts, cells = read_search(file)
        lines = [f"Checkpoint of a search, after {len(cells)} fits"]
        lines += (f"  {name}: {value}" for name, value in facts.items())
        return {"n_fits": len(cells), "run": facts}, "\n".join(lines)
    selection = load(file)
    document = {
        "criterion": selection.criterion,
        "best_index": selection.best_index_,
        "table": selection.records(),
    }
    return document, str(selection)


def _report(file: Path) -> tuple[dict[str, Any], str]:
    job = job_of(file)
    if job is not None:
        n_done, n_sets, facts = job
        lines = [f"Checkpoint of many fits, after {n_done} of {n_sets}"]
        lines += (f"  {name}: {value}" for name, value in facts.items())
        return {"n_fits": n_done, "n_sets": n_sets, "run": facts}, "\n".join(lines)
    report = load(file)
    sets = [report.status(i) for i in range(len(report))]
    document = {
        "n_sets": len(sets),
        "n_failed": len(report.failed),
        "key_names": report.key_names,
        "sets": [status._asdict() for status in sets],
    }
    lines = [f"{counted(len(sets), 'mixture')} by {', '.join(report.key_names)}:"]
    for status in sets[:_MOST_SETS]:
        key = ",".join(map(str, status.key)) if isinstance(status.key, tuple) else status.key
        how = f"BIC {status.bic:.6g}" if status.bic == status.bic else "converged"
        how = how if status.converged else f"{how}, not converged"
        lines.append(f"  {key}: {counted(status.n_rows, 'row')}, {brief(status.error) or how}")
    if len(sets) > _MOST_SETS:
        lines.append(f"  ... and {len(sets) - _MOST_SETS} more; see --json.")
    return document, "\n".join(lines)


def _statistics(file: Path) -> tuple[dict[str, Any], str]:
    statistics = load(file)
    k, d = statistics.reference.shape
    document = {
        "form": statistics.form.value,
        "n_components": k,
        "n_features": d,
        "n_rows": statistics.n_rows,
        "total_weight": statistics.total_weight,
        "log_likelihood": statistics.log_likelihood,
    }
    return document, "\n".join(
        ["Sufficient statistics", *(f"  {name}: {value}" for name, value in document.items())]
    )

"""Files that commands write and models that they read, looked at before any work is done."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from fastgmm.files.atomic import check_writable
from fastgmm.files.container import ModelFileError, is_table, read_file
from fastgmm.outputs import overwrites
from fastgmm.saved.checkpoints import has_begun
from fastgmm.saved.models import load, load_model

Model = Annotated[
    Path,
    typer.Argument(
        help="File that `fastgmm fit` has written, or `fastgmm fit-many`, whose mixtures --key "
        "names.",
        show_default=False,
    ),
]

_MOST_KEYS = 8
"""Keys that errors list."""


def told_written(*paths: Path | None) -> str:
    """What the last line says of files: ``"; model.npz written"``; None is none."""
    return "".join(f"; {path} written" for path in paths if path is not None)


def check_output(path: Path | None, inputs: Iterable[Path], kind: str | None = None) -> None:
    """Check that a file can be written, and that nothing is lost by it.

    Parameters
    ----------
    path : Path or None
        None is none to write.
    inputs : iterable of Path
        What the command also reads or writes; of folders, all Parquet files in them.
    kind : str, optional
        "model" or "checkpoint": a file that is there already should hold one, or it is not
        overwritten. Files of rows are, as by other commands.

    Raises
    ------
    ValueError
        If it would overwrite something else.
    OSError
        If it cannot be written.
    """
    if path is None:
        return
    if overwrites(path, inputs):
        raise ValueError(f"{path} is read or written otherwise already; write to another file.")
    check_writable(path)
    if kind is not None and has_begun(path):
        try:
            read_file(path, (kind,))
        except ModelFileError as error:
            raise ValueError(
                f"{error} It is not overwritten; remove it, or write to another."
            ) from error


Key = Annotated[
    str | None,
    typer.Option(
        metavar="KEY",
        help="Which mixture of a file of many: its key; the parts of one in several columns go "
        "between commas.",
    ),
]


def load_fitted(path: Path, key: str | None = None) -> Any:
    """Load a model that predictions can be made with.

    Parameters
    ----------
    path : Path
    key : str, optional
        Of a mixture, in a file of many.

    Raises
    ------
    ValueError
        If the file holds none; `fastgmm.ModelFileError` if it is damaged.
    """
    if is_table(path):
        return of_key(load(path), path, key)
    check_no_key(path, key)
    model = load_model(path)
    if not hasattr(model, "means_"):
        raise ValueError(f"{path} holds a model that has not been fitted.")
    return model


def of_key(report: Any, path: Path, key: str | None) -> Any:
    """The mixture of a report that an option names.

    Raises
    ------
    ValueError
        If there is none, or its fit failed.
    """
    texts = [",".join(map(str, key)) if isinstance(key, tuple) else str(key) for key in report.keys]
    if key in texts:
        return report[texts.index(key)]
    some = ", ".join(texts[:_MOST_KEYS]) + (", ..." if len(texts) > _MOST_KEYS else "")
    raise ValueError(
        f"{path} holds {len(texts)} mixtures, and "
        + ("--key should name one" if key is None else f"none has the key {key!r}")
        + f": {some}."
    )


def check_no_key(path: Path, key: str | None) -> None:
    """Refuse a key for a file that holds one thing."""
    if key is not None:
        raise ValueError(f"{path} is no file of many mixtures, which --key could choose among.")


def set_missing_values(model: Any, missing_values: str | None) -> None:
    """Set what missing values are to a model, unless it is to be what it was fitted with.

    Raises
    ------
    typer.BadParameter
        If the model takes no missing values.
    ValueError
        If it knows no such word.
    """
    if missing_values is None:
        return
    if missing_values == "drop":
        missing_values = "error"
        if not hasattr(model, "missing_values"):
            return
    if not hasattr(model, "missing_values"):
        raise typer.BadParameter(
            f"--missing does not go with a {type(model).__name__}, which takes none"
        )
    model.set_params(missing_values=missing_values)._validate_params()

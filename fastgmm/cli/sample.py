"""``fastgmm sample``: rows drawn from a model."""

import sys
from typing import Annotated

import numpy as np
import typer

from fastgmm.cli.files import Key, Model, check_output, load_fitted
from fastgmm.cli.options import RandomState
from fastgmm.cli.predict import RowsOut
from fastgmm.outputs import open_output, output_suffix


def sample(
    model: Model,
    key: Key = None,
    n: Annotated[int, typer.Option("-n", min=1, help="Number of rows.")] = 1,
    out: RowsOut = None,
    random_state: RandomState = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="Add a last column: the component drawn from.")
    ] = False,
) -> None:
    """Draw rows from a mixture; those of a component follow one another."""
    if out is not None:
        output_suffix(out)
    check_output(out, [model])
    mixture = load_fitted(model, key).set_params(random_state=random_state)
    X, components = mixture.sample(n)
    names = getattr(mixture, "feature_names_in_", None)
    names = [f"x{j}" for j in range(X.shape[1])] if names is None else list(names)
    if labels:
        X, names = np.column_stack([X, components]), [*names, "component"]
    with open_output(sys.stdout.buffer if out is None else out, n, names, X.dtype) as output:
        output.write(0, n, X)

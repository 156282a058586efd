"""What the sub-commands say of models, as text and as JSON."""

import json
import math
import shutil
from typing import Annotated, Any

import numpy as np
import typer

from fastgmm.families.noise import has_noise

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Wide = Annotated[
    bool, typer.Option("--wide", help="Show all features, however wide the terminal is.")
]

_LEAST_WIDTH = 9
"""Letters of a column of the table of components."""


def print_json(document: dict[str, Any]) -> None:
    """Print a document; numbers that JSON does not have become null."""
    typer.echo(json.dumps(_plain(document), indent=2, allow_nan=False))


def describe(model: Any) -> dict[str, Any]:
    """Facts of a model, fitted or not, without its parameters.

    Parameters
    ----------
    model : GaussianMixture or BayesianGaussianMixture
    """
    document: dict[str, Any] = {
        "model": type(model).__name__,
        "n_components": model.n_components,
        "covariance_type": model.covariance_type,
        "fitted": hasattr(model, "means_"),
        "arguments": model.get_params(deep=False),
    }
    if document["fitted"]:
        bound = getattr(model, "lower_bound_", None)  # scikit-learn's of 'tied' is an array of one
        document |= {
            "n_features": np.shape(model.means_)[1],
            "feature_names": getattr(model, "feature_names_in_", None),
            "dtype": str(np.asarray(model.means_).dtype),
            "converged": getattr(model, "converged_", None),
            "n_iter": getattr(model, "n_iter_", None),
            "lower_bound": bound if bound is None else np.asarray(bound).item(),
            "convergence_rate": getattr(model, "convergence_rate_", None),
            "diagnostics": getattr(model, "diagnostics_", None),
        }
    return document


def parameters_of(model: Any) -> dict[str, Any]:
    """The parameters of a fitted model, by the names of its attributes without the underscore."""
    names = ("weights", "means", "covariances", "noise_weight", "noise_volume")
    return {name: getattr(model, f"{name}_") for name in names if hasattr(model, f"{name}_")}


def bound_name(model: Any) -> str:
    """What the bound that EM raises is: in maximum likelihood, the likelihood itself."""
    return "log-likelihood" if hasattr(model, "bic") else "lower bound"


def text_of(model: Any, n_features_shown: int | None = None) -> str:
    """Lines that say what a model is, with a table of its components.

    Parameters
    ----------
    model : GaussianMixture or BayesianGaussianMixture
    n_features_shown : int, optional
        Columns of the table. By default as many as the terminal has room for.
    """
    facts = describe(model)
    k, structure = facts["n_components"], facts["covariance_type"]
    components = counted(k, "component")
    if not facts["fitted"]:
        return f"{facts['model']}, {components}, {structure} covariance: not fitted"
    features = counted(facts["n_features"], "feature")
    lines = [
        f"{facts['model']}, {components} x {features}, {structure} covariance, {facts['dtype']}"
    ]
    if facts["n_iter"] is not None:
        outcome = "converged" if facts["converged"] else "not converged"
        lines.append(
            f"{outcome} after {counted(facts['n_iter'], 'iteration')}; {bound_name(model)} per row "
            f"{facts['lower_bound']:.6f}"
        )
    names = facts["feature_names"]
    if names is None:
        names = [f"x{j}" for j in range(facts["n_features"])]
    columns = [_column("weight", model.weights_)]
    columns += [_column(str(name), model.means_[:, j]) for j, name in enumerate(names)]
    shown = _n_that_fit(columns) if n_features_shown is None else 1 + n_features_shown
    more = "  ..." if len(columns) > shown else ""
    lines += ("".join(row) + more for row in zip(*columns[:shown], strict=True))
    if has_noise(model):
        lines.append(f"noise: weight {model.noise_weight_:.5g}, volume {model.noise_volume_:.5g}")
    return "\n".join(lines)


def brief(error: str | None) -> str:
    """The first line of an error; empty if there is none."""
    return "" if error is None else error.partition("\n")[0]


def counted(n: int, thing: str) -> str:
    """A number of things, as ``1 component``."""
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"


def _column(title: str, values: np.ndarray) -> list[str]:
    """A column of a table under its title: numbers with their decimal points under one another."""
    size = np.max(np.abs(values[np.isfinite(values)]), initial=0.0)
    plain = size == 0 or 1e-3 <= size < 1e7
    digits = max(4 - math.floor(math.log10(size)), 0) if plain and size else 4
    numbers = [f"{value:.{digits}f}" if plain else f"{value:.4e}" for value in values]
    width = max(_LEAST_WIDTH, *map(len, [title, *numbers]))
    return [f"{text:>{width + 2}}" for text in [title, *numbers]]


def _n_that_fit(columns: list[list[str]]) -> int:
    """How many columns the terminal is wide enough for; of one that is no terminal, 80 letters."""
    widths = np.cumsum([len(column[0]) for column in columns])
    room = shutil.get_terminal_size((80, 24)).columns
    if widths[-1] <= room:
        return len(columns)
    return max(int(np.searchsorted(widths, room - len("  ..."), side="right")), 2)


def _plain(value: Any) -> Any:
    """The same of what JSON has."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (np.generic, np.ndarray)) and value.ndim == 0:
        value = value.item()
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in np.asarray(value, dtype=object).tolist()]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)

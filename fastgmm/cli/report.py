"""What the sub-commands say of models, as text and as JSON."""

import json
import math
from typing import Annotated, Any

import numpy as np
import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

_MOST_FEATURES = 8


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


def text_of(model: Any) -> str:
    """Lines that say what a model is."""
    facts = describe(model)
    k, structure = facts["n_components"], facts["covariance_type"]
    if not facts["fitted"]:
        return f"{facts['model']}, {k} components, {structure} covariance: not fitted"
    lines = [
        f"{facts['model']}, {k} components x {facts['n_features']} features, {structure} "
        f"covariance, {facts['dtype']}"
    ]
    if facts["n_iter"] is not None:
        outcome = "converged" if facts["converged"] else "not converged"
        lines.append(
            f"{outcome} after {facts['n_iter']} iterations; {bound_name(model)} "
            f"{facts['lower_bound']:.6f}"
        )
    names = facts["feature_names"]
    if names is None:
        names = [f"x{j}" for j in range(facts["n_features"])]
    more = "  ..." if len(names) > _MOST_FEATURES else ""
    shown = [str(name)[:12] for name in names[:_MOST_FEATURES]]
    lines.append("".join(f"{title:>13}" for title in ["weight", *shown]) + more)
    for weight, mean in zip(model.weights_, model.means_, strict=True):
        numbers = [weight, *mean[:_MOST_FEATURES]]
        lines.append("".join(f"{number:>13.5g}" for number in numbers) + more)
    if hasattr(model, "noise_weight_"):
        lines.append(
            f"{model.noise_weight_:>13.5g}  noise, in a volume of {model.noise_volume_:.5g}"
        )
    return "\n".join(lines)


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

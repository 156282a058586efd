"""``fastgmm demo``: the same mixtures by scikit-learn and by fastgmm, from the same start.

Iris and digits come with scikit-learn and start from its own initialisation, with the same seed. A
third set is generated. It starts from given parameters, so that EM is compared, not k-means.
"""

import json
import statistics
import time
import warnings
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import sklearn
import typer
from sklearn import datasets, mixture
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning

import fastgmm
from fastgmm.cli.errors import DIFFERENT

# Two answers are equal when they differ by rounding only, however many iterations amplified it.
RELATIVE_TOLERANCE = 1e-6
LABEL_AGREEMENT_PERCENT = 99.99

STRUCTURES = ("full", "tied", "diag", "spherical")
"""Those of scikit-learn."""

HEADER = (
    "covariance  sklearn  fastgmm  times   itera-  sklearn  fastgmm  labels  answers\n"
    "            seconds  seconds faster    tions log-lik. log-lik.   agree"
)

Problem = tuple[str, np.ndarray, dict[str, Any], int]
"""Name and rows of the data, the arguments of both estimators, and how often they are timed."""


def exercise(covariance_type: str) -> None:
    """Fit and predict a few rows, for which the kernels are compiled."""
    X = np.random.default_rng(0).standard_normal((48, 3))
    model = fastgmm.GaussianMixture(
        2, covariance_type=covariance_type, reg_covar=1e-2, max_iter=2, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X)
    model.predict(X)


def problems(n_generated: int) -> Iterator[Problem]:
    """All that is fitted; log-likelihoods are per row."""
    # Some pixels of the digits are constant. On the leading principal components the covariance
    # is not singular, and no large reg_covar has to hide that it is.
    digits = PCA(20, svd_solver="full").fit_transform(datasets.load_digits().data)
    small = [
        ("iris", datasets.load_iris().data, 3),
        ("digits, 20 principal components", digits, 10),
    ]
    for data, X, k in small:
        for structure in STRUCTURES:
            arguments = {"n_components": k, "covariance_type": structure, "random_state": 0}
            yield data, np.ascontiguousarray(X), arguments, 5
    X, _ = datasets.make_blobs(n_generated, 4, centers=8, cluster_std=2.0, random_state=12)
    X = X @ np.random.default_rng(12).standard_normal((4, 4))  # no longer round
    start = mixture.GaussianMixture(8, max_iter=1, random_state=0).fit(X[:20_000])
    names = {"weights_init": "weights_", "means_init": "means_", "precisions_init": "precisions_"}
    given = {argument: getattr(start, name) for argument, name in names.items()}
    yield "generated", X, {"n_components": 8, "tol": 1e-5, "max_iter": 20, **given}, 1


def seconds_of_fit(model: Any, X: np.ndarray) -> float:
    """Fit a model."""
    started = time.perf_counter()
    model.fit(X)
    return time.perf_counter() - started


def compare(data: str, X: np.ndarray, arguments: dict[str, Any], repeats: int) -> dict[str, Any]:
    """Fit by both libraries, in turn; pairs in what is returned are (scikit-learn, fastgmm)."""
    theirs = mixture.GaussianMixture(**arguments)
    ours = fastgmm.GaussianMixture(**arguments)
    if repeats > 1:  # a first call loads code; a long fit does not notice
        seconds_of_fit(theirs, X)
        seconds_of_fit(ours, X)
    runs = [(seconds_of_fit(theirs, X), seconds_of_fit(ours, X)) for _ in range(repeats)]
    seconds = [statistics.median(column) for column in zip(*runs, strict=True)]
    iterations = [theirs.n_iter_, ours.n_iter_]
    likelihoods = [float(theirs.score(X)), float(ours.score(X))]
    agreement = 100.0 * float(np.mean(theirs.predict(X) == ours.predict(X)))
    means = float(np.abs(theirs.means_ - ours.means_).max() / np.abs(theirs.means_).max())
    close = abs(likelihoods[0] - likelihoods[1]) <= RELATIVE_TOLERANCE * abs(likelihoods[0])
    equal = {  # a NaN is no equality
        f"iterations {iterations[0]} and {iterations[1]}": iterations[0] == iterations[1],
        f"log-likelihoods {likelihoods[0]} and {likelihoods[1]}": close,
        f"{100 - agreement:.3g} % of the labels": agreement >= LABEL_AGREEMENT_PERCENT,
        f"means by {means:.3g} relative": means <= RELATIVE_TOLERANCE,
    }
    return {
        "data": data,
        "covariance_type": ours.covariance_type,
        **dict(zip(("n_rows", "n_features"), X.shape, strict=True)),
        "n_components": ours.n_components,
        "seconds": seconds,
        "speed_up": seconds[0] / seconds[1],
        "iterations": iterations,
        "log_likelihood": likelihoods,
        "label_agreement_percent": agreement,
        "means_relative_difference": means,
        "differences": [difference for difference, holds in equal.items() if not holds],
    }


def print_line(result: dict[str, Any], is_first: bool) -> None:
    """Print a result below the others of its data; it fits a terminal of 80 columns."""
    if is_first:
        shape = f"{result['n_rows']} rows x {result['n_features']} features"
        print(f"\n{result['data']}: {shape}, {result['n_components']} components\n{HEADER}")
    times = "".join(f"{seconds:9.4f}" for seconds in result["seconds"])
    likelihoods = "".join(f"{likelihood:9.4f}" for likelihood in result["log_likelihood"])
    print(
        f"{result['covariance_type']:10}{times}{result['speed_up']:6.1f}x"
        f"{', '.join(map(str, result['iterations'])):>9}{likelihoods}"
        f"{result['label_agreement_percent']:7.4g}% "
        f"{'DIFFERENT' if result['differences'] else 'equal'}",
        flush=True,
    )
    for difference in result["differences"]:
        print(f"  DIFFERENT: {difference}")


def demo(
    rows: Annotated[
        int, typer.Option(min=1000, help="Number of rows of the generated data.")
    ] = 200_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")] = False,
) -> None:
    """Fit iris, digits and generated rows by scikit-learn and by fastgmm, and compare.

    Exits with 1 if the answers differ by more than rounding.
    """
    started = time.perf_counter()
    for structure in STRUCTURES:
        exercise(structure)
    compiling = time.perf_counter() - started
    if not as_json:
        print(f"compiling the kernels: {compiling:.2f} s (once per machine)\n")
        print("scikit-learn and fastgmm from the same start; log-likelihood is per row", flush=True)
    results: list[dict[str, Any]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fits that are meant to stop early
        for problem in problems(rows):
            results.append(compare(*problem))
            if not as_json:
                print_line(results[-1], [each["data"] for each in results].count(problem[0]) == 1)
    equal = not any(result["differences"] for result in results)
    if as_json:
        libraries = {"fastgmm": fastgmm, "scikit-learn": sklearn, "numpy": np}
        versions = {name: library.__version__ for name, library in libraries.items()}
        head = {"versions": versions, "compile_seconds": compiling, "equal": equal}
        print(json.dumps({**head, "results": results}, indent=2))
    if not equal:
        raise typer.Exit(DIFFERENT)

"""``fastgmm demo``: the same mixtures by scikit-learn and by fastgmm, from the same start.

Iris and digits come with scikit-learn; a third set is generated. The small sets start from
scikit-learn's own initialisation with the same seed. The large one starts from given parameters,
so that EM itself is compared and not the k-means before it.
"""

import contextlib
import dataclasses
import itertools
import json
import statistics
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import sklearn
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn import mixture
from sklearn.exceptions import ConvergenceWarning

import fastgmm
from fastgmm.cli.warmup import exercise

Array = NDArray[np.float64]

# Two answers are equal when they differ by rounding only, however many iterations amplified it.
RELATIVE_TOLERANCE = 1e-6
LABEL_AGREEMENT_PERCENT = 99.99

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")  # those of scikit-learn

SMALL_REPEATS = 5
DIGITS_COMPONENTS = 20
LARGE_FEATURES = 4
LARGE_COMPONENTS = 8
SUBSAMPLE_ROWS = 20_000


@dataclass(frozen=True)
class Case:
    """One data set with the arguments that both libraries get."""

    data: str
    X: Array
    arguments: dict[str, Any]
    repeats: int


@dataclass(frozen=True)
class Result:
    """What both libraries did with one case; the pairs are (scikit-learn, fastgmm)."""

    data: str
    covariance_type: str
    n_rows: int
    n_features: int
    n_components: int
    seconds: tuple[float, float]
    iterations: tuple[int, int]
    log_likelihood: tuple[float, float]
    label_agreement_percent: float
    means_relative_difference: float
    differences: list[str] = field(default_factory=list)

    @property
    def speed_up(self) -> float:
        """How many times faster fastgmm was."""
        return self.seconds[0] / self.seconds[1]


def small_cases() -> Iterator[Case]:
    """Iris and digits, with each covariance type."""
    from sklearn.datasets import load_digits, load_iris
    from sklearn.decomposition import PCA

    iris = load_iris().data
    # Some pixels of the digits are constant, so their covariance is singular; on the leading
    # principal components it is not, and no large reg_covar has to hide that.
    digits = PCA(n_components=DIGITS_COMPONENTS, svd_solver="full").fit_transform(
        load_digits().data
    )
    for data, X, n_components in (
        ("iris", iris, 3),
        (f"digits on {DIGITS_COMPONENTS} principal components", digits, 10),
    ):
        for covariance_type in COVARIANCE_TYPES:
            arguments = {
                "n_components": n_components,
                "covariance_type": covariance_type,
                "random_state": 0,
            }
            yield Case(data, np.ascontiguousarray(X), arguments, SMALL_REPEATS)


def generated_rows(n_rows: int) -> Array:
    """Draw rows from eight elongated Gaussians in four dimensions that overlap in part."""
    rng = np.random.default_rng(12)
    means = rng.uniform(-4.0, 4.0, (LARGE_COMPONENTS, LARGE_FEATURES))
    labels = rng.choice(LARGE_COMPONENTS, n_rows, p=rng.dirichlet(np.full(LARGE_COMPONENTS, 8.0)))
    X = rng.standard_normal((n_rows, LARGE_FEATURES))
    for j, mean in enumerate(means):
        rotation = np.linalg.qr(rng.standard_normal((LARGE_FEATURES, LARGE_FEATURES)))[0]
        members = labels == j
        X[members] = (X[members] * rng.uniform(0.4, 1.8, LARGE_FEATURES)) @ rotation + mean
    return X


def large_case(n_rows: int) -> Case:
    """Make the generated rows, with full covariances and a given start.

    The start is k-means and one EM iteration on a subsample.
    """
    X = generated_rows(n_rows)
    start = mixture.GaussianMixture(LARGE_COMPONENTS, max_iter=1, random_state=0)
    with quiet():
        start.fit(X[:SUBSAMPLE_ROWS])
    arguments = {
        "n_components": LARGE_COMPONENTS,
        "covariance_type": "full",
        "weights_init": start.weights_,
        "means_init": start.means_,
        "precisions_init": start.precisions_,
        "tol": 1e-5,
        "max_iter": 20,
    }
    return Case("generated", X, arguments, repeats=1)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No word about fits that stop at max_iter: here they are meant to."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def timed_fit(model: Any, X: Array) -> float:
    """Fit `model` to `X` and return the seconds."""
    started = time.perf_counter()
    with quiet():
        model.fit(X)
    return time.perf_counter() - started


def relative(a: float, b: float) -> float:
    """Return the difference of two numbers relative to the larger."""
    return abs(a - b) / max(abs(a), abs(b), np.finfo(float).tiny)


def differences(result: Result) -> list[str]:
    """Say in words how the two answers differ by more than rounding; empty if they do not."""
    found = []
    if result.iterations[0] != result.iterations[1]:
        found.append(f"iterations {result.iterations[0]} and {result.iterations[1]}")
    # Written so that a NaN counts as a difference.
    if not relative(*result.log_likelihood) <= RELATIVE_TOLERANCE:
        found.append(f"log-likelihoods {result.log_likelihood[0]} and {result.log_likelihood[1]}")
    if not result.label_agreement_percent >= LABEL_AGREEMENT_PERCENT:
        found.append(f"{100 - result.label_agreement_percent:.3g} % of the labels")
    if not result.means_relative_difference <= RELATIVE_TOLERANCE:
        found.append(f"means by {result.means_relative_difference:.3g} relative")
    return found


def compare(case: Case) -> Result:
    """Fit `case` by both libraries, in turn, and compare the answers."""
    theirs = mixture.GaussianMixture(**case.arguments)
    ours = fastgmm.GaussianMixture(**case.arguments)
    if case.repeats > 1:  # what a first call loads is not the fit; a long fit does not notice
        timed_fit(theirs, case.X)
        timed_fit(ours, case.X)
    seconds = [(timed_fit(theirs, case.X), timed_fit(ours, case.X)) for _ in range(case.repeats)]
    agreement = 100.0 * float(np.mean(theirs.predict(case.X) == ours.predict(case.X)))
    means_difference = np.abs(theirs.means_ - ours.means_).max() / np.abs(theirs.means_).max()
    result = Result(
        data=case.data,
        covariance_type=case.arguments["covariance_type"],
        n_rows=case.X.shape[0],
        n_features=case.X.shape[1],
        n_components=case.arguments["n_components"],
        seconds=(
            statistics.median(pair[0] for pair in seconds),
            statistics.median(pair[1] for pair in seconds),
        ),
        iterations=(theirs.n_iter_, ours.n_iter_),
        log_likelihood=(float(theirs.score(case.X)), float(ours.score(case.X))),
        label_agreement_percent=agreement,
        means_relative_difference=float(means_difference),
    )
    return dataclasses.replace(result, differences=differences(result))


def compile_kernels() -> float:
    """Compile, or load, what the demo needs and return the seconds."""
    started = time.perf_counter()
    for covariance_type in COVARIANCE_TYPES:
        exercise(covariance_type, "float64")
    return time.perf_counter() - started


def as_table(results: list[Result]) -> Table:
    """Lay out the results of one data set; fits a terminal of 80 columns."""
    first = results[0]
    table = Table(
        title=(
            f"{first.data}: {first.n_rows} rows x {first.n_features} features, "
            f"{first.n_components} components"
        ),
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("\ncovariance", width=10, no_wrap=True)
    for header, width in (
        ("sklearn\nseconds", 8),
        ("fastgmm\nseconds", 8),
        ("speed-\nup", 6),
        ("itera-\ntions", 8),
        ("sklearn\nlog-lik.", 8),
        ("fastgmm\nlog-lik.", 8),
        ("labels\nagree", 6),
    ):
        table.add_column(header, justify="right", width=width, no_wrap=True)
    table.add_column("\nanswers", width=9, no_wrap=True)
    for r in results:
        table.add_row(
            r.covariance_type,
            f"{r.seconds[0]:.4f}",
            f"{r.seconds[1]:.4f}",
            f"{r.speed_up:.1f}x",
            f"{r.iterations[0]}, {r.iterations[1]}",
            f"{r.log_likelihood[0]:.4f}",
            f"{r.log_likelihood[1]:.4f}",
            f"{r.label_agreement_percent:.4g}%",
            "[red]DIFFERENT[/red]" if r.differences else "equal",
        )
    return table


def as_json(results: list[Result], compile_seconds: float) -> str:
    """Write the results, and what they were made with, as JSON."""
    document = {
        "versions": {
            "fastgmm": fastgmm.__version__,
            "scikit-learn": sklearn.__version__,
            "numpy": np.__version__,
        },
        "compile_seconds": compile_seconds,
        "equal": not any(result.differences for result in results),
        "results": [
            {**dataclasses.asdict(result), "speed_up": result.speed_up} for result in results
        ],
    }
    return json.dumps(document, indent=2)


def print_tables(output: Console, results: list[Result]) -> None:
    """Print one table per data set, and below them what differs."""
    output.print("scikit-learn and fastgmm from the same start; log-likelihood is per row")
    for _, group in itertools.groupby(results, key=lambda result: result.data):
        output.print()
        output.print(as_table(list(group)))
    for result in results:
        for difference in result.differences:
            output.print(f"DIFFERENT: {result.data}, {result.covariance_type}: {difference}")


def demo(
    rows: Annotated[
        int, typer.Option(min=1000, help="Number of rows of the generated data.")
    ] = 1_000_000,
    as_json_: Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")] = False,
) -> None:
    """Fit iris, digits and generated rows by scikit-learn and by fastgmm, and compare.

    Exits with 1 if the answers differ by more than rounding.
    """
    output = Console(highlight=False)
    with Console(stderr=True).status("compiling the kernels") as status:
        compile_seconds = compile_kernels()
        if not as_json_:
            output.print(f"compiling the kernels: {compile_seconds:.2f} s (once per machine)\n")
        results = []
        for case in small_cases():
            status.update(f"{case.data}, {case.arguments['covariance_type']}")
            results.append(compare(case))
        status.update(f"{rows} generated rows: scikit-learn may take a minute")
        results.append(compare(large_case(rows)))
    if as_json_:
        print(as_json(results, compile_seconds))
    else:
        print_tables(output, results)
    if any(result.differences for result in results):
        raise typer.Exit(1)

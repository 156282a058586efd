"""Options of ``fastgmm fit`` that are arguments of the estimators."""

from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

import fastgmm
from fastgmm.acceleration import METHODS
from fastgmm.covariance import STRUCTURES
from fastgmm.starts import METHODS as STARTS

_DEFAULTS = fastgmm.GaussianMixture().get_params()


def among(*words: str) -> dict[str, Any]:
    """What an option of a few words completes to in a shell."""
    return {"autocompletion": lambda incomplete: [w for w in words if w.startswith(incomplete)]}


def _argument(name: str, help: str, *flags: str, **more: Any) -> Any:
    """Option for an argument; unless it is given, the estimator's own default holds."""
    default = _DEFAULTS.get(name)
    shown = False if default is None else str(default)
    return typer.Option(*flags, help=help, show_default=shown, **more)


def _numbers(text: str) -> np.ndarray:
    """Numbers of a prior: after one another, or in a file."""
    try:
        if text.endswith(".npy"):
            return np.load(text, allow_pickle=False)
        numbers = np.array([float(word) for word in text.split(",")])
    except (ValueError, OSError) as error:
        raise typer.BadParameter(
            f"{text!r} is neither numbers, as in 1,2.5,3, nor a .npy file of numbers: {error}"
        ) from None
    return numbers[0] if numbers.size == 1 else numbers


def _number_or_name(text: str) -> float | str:
    """A number if it is one; the estimator knows which other words are good."""
    try:
        return float(text)
    except ValueError:
        return text


NComponents = Annotated[
    int, typer.Option("--n-components", "-k", min=1, help="Number of Gaussians.")
]
CovarianceType = Annotated[
    str | None,
    _argument(
        "covariance_type",
        f"One of {', '.join(STRUCTURES)}.",
        metavar="TYPE",
        **among(*STRUCTURES),
    ),
]
Tol = Annotated[float | None, _argument("tol", "Stop when the bound changes by less than this.")]
MaxIter = Annotated[int | None, _argument("max_iter", "Stop after so many iterations.")]
NInit = Annotated[int | None, _argument("n_init", "Number of starts, of which the best stays.")]
InitParams = Annotated[
    str | None,
    _argument(
        "init_params",
        f"Start by one of {', '.join(STARTS)}.",
        metavar="METHOD",
        **among(*STARTS),
    ),
]
RegCovar = Annotated[
    float | None,
    _argument(
        "reg_covar",
        "Added to every variance; 'scale' is a millionth of each feature's own.",
        parser=_number_or_name,
        metavar="NUMBER",
    ),
]
WeightsInit = Annotated[
    np.ndarray | None,
    typer.Option(
        parser=_numbers, metavar="NUMBERS", help="Weights to start with, as 0.3,0.7 or .npy."
    ),
]
MeansInit = Annotated[
    np.ndarray | None,
    typer.Option(parser=_numbers, metavar="FILE.npy", help="Means to start with."),
]
PrecisionsInit = Annotated[
    np.ndarray | None,
    typer.Option(parser=_numbers, metavar="FILE.npy", help="Precisions to start with."),
]
Noise = Annotated[
    float | None,
    typer.Option(
        parser=_number_or_name,
        metavar="box|V",
        help="A further component of constant density, in the box around the rows or a volume V.",
    ),
]
Freeze = Annotated[
    str | None,
    typer.Option(
        metavar="PART,PART,...",
        help="What stays as --weights-init, --means-init and --precisions-init give it: weights, "
        "means, covariances; of some components only as in means=0+2.",
    ),
]
OnFailure = Annotated[
    str | None,
    _argument(
        "on_failure",
        "What to do about collapsed components: raise or recover.",
        metavar="NAME",
        **among("raise", "recover"),
    ),
]
_MISSING = ("--missing", "--missing-values")
_MISSING_METAVAR = "error|drop|em"
_MISSING_WORDS = ("error", "drop", "em")


def _missing(text: str) -> str:
    if text not in _MISSING_WORDS:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(_MISSING_WORDS)}.")
    return text


MissingValues = Annotated[
    str | None,
    _argument(
        "missing_values",
        "What NaN and empty cells are: an error, a reason to drop their rows, or values that are "
        "missing at random (em).",
        *_MISSING,
        metavar=_MISSING_METAVAR,
        parser=_missing,
        **among(*_MISSING_WORDS),
    ),
]
MissingToPredict = Annotated[
    str | None,
    typer.Option(
        *_MISSING,
        help="What NaN and empty cells are, as for fit. By default what they were to the fit.",
        metavar=_MISSING_METAVAR,
        parser=_missing,
        **among(*_MISSING_WORDS),
    ),
]


def to_model(given: dict[str, Any]) -> dict[str, Any]:
    """Options by name, as a model is told of them: of rows that are dropped it hears nothing."""
    return {**given, "missing_values": None} if given["missing_values"] == "drop" else given


RandomState = Annotated[int | None, _argument("random_state", "Seed.", metavar="SEED")]
NJobs = Annotated[int | None, _argument("n_jobs", "Threads; all cores by default.")]
Accelerate = Annotated[
    str | None,
    _argument(
        "accelerate",
        f"Fewer passes: one of {', '.join(METHODS)}.",
        metavar="METHOD",
        **among(*METHODS),
    ),
]
TolKind = Annotated[
    str | None,
    _argument(
        "tol_kind",
        "What --tol is of: change, or aitken, the estimated distance to the limit, which is the "
        "default with --accelerate.",
        metavar="KIND",
    ),
]

Bayesian = Annotated[
    bool, typer.Option("--bayesian", help="Fit by variational Bayes. The options *prior* need it.")
]
PriorType = Annotated[
    str | None, typer.Option(metavar="TYPE", help="dirichlet_process or dirichlet_distribution.")
]
Prior = Annotated[
    float | None,
    typer.Option(help="Argument of BayesianGaussianMixture by this name; with --bayesian."),
]
Numbers = Annotated[
    np.ndarray | None,
    typer.Option(parser=_numbers, metavar="NUMBERS", help="As 1,2.5,3, or in a .npy file."),
]
TolPerSample = Annotated[
    bool, typer.Option("--tol-per-sample", help="--tol is meant per row; with --bayesian.")
]


class Arguments(NamedTuple):
    """Options that are arguments of the estimators."""

    covariance_type: CovarianceType = None
    tol: Tol = None
    max_iter: MaxIter = None
    n_init: NInit = None
    init_params: InitParams = None
    reg_covar: RegCovar = None
    on_failure: OnFailure = None
    missing_values: MissingValues = None
    random_state: RandomState = None
    n_jobs: NJobs = None
    weights_init: WeightsInit = None
    means_init: MeansInit = None
    precisions_init: PrecisionsInit = None
    noise: Noise = None
    freeze: Freeze = None
    accelerate: Accelerate = None
    tol_kind: TolKind = None
    bayesian: Bayesian = False
    weight_concentration_prior_type: PriorType = None
    weight_concentration_prior: Prior = None
    mean_precision_prior: Prior = None
    mean_prior: Numbers = None
    degrees_of_freedom_prior: Prior = None
    covariance_prior: Numbers = None
    tol_per_sample: TolPerSample = False


def _frozen(text: str, n_components: int) -> dict[str, Any]:
    """The argument `freeze` for names of parts, with or without numbers of components."""
    freeze: dict[str, Any] = {}
    for part in text.split(","):
        name, equals, numbers = part.strip().partition("=")
        if name in freeze:
            raise typer.BadParameter(
                f"--freeze names {name} twice; several components go together, as in {name}=0+2"
            )
        if equals and not numbers:
            raise typer.BadParameter(f"--freeze {part.strip()!r} names no component")
        freeze[name] = True
        if numbers:
            words = numbers.split("+")
            chosen = [int(word) for word in words if word.strip().isdecimal()]
            if len(chosen) < len(words) or max(chosen) >= n_components:
                raise typer.BadParameter(
                    f"--freeze {part.strip()!r} should name components by numbers from 0 to "
                    f"{n_components - 1}, as in means=0+2"
                )
            freeze[name] = np.isin(np.arange(n_components), chosen)
    return freeze


def make_estimator(given: dict[str, Any]) -> Any:
    """An estimator whose arguments have been checked.

    Parameters
    ----------
    given : dict
        Options by name, those of other things among them; None and False are not given.

    Raises
    ------
    typer.BadParameter
        If there are priors, but the estimator is not Bayesian, or something that it does not know.
    ValueError
        If an argument is out of range.
    """
    bayesian = given["bayesian"]
    plain = set(fastgmm.GaussianMixture().get_params())
    of_bayesian = set(fastgmm.BayesianGaussianMixture().get_params())
    # How much a command prints is no argument of a model that is kept.
    known = (plain | of_bayesian) - {"verbose"}
    arguments = {
        name: value
        for name, value in to_model(given).items()
        if name in known and value is not None and value is not False
    }
    unknown = sorted(set(arguments) - (of_bayesian if bayesian else plain))
    if unknown:
        goes = "does not go" if bayesian else "goes"
        option = "--missing" if unknown[0] == "missing_values" else f"--{unknown[0]}"
        raise typer.BadParameter(f"{option.replace('_', '-')} {goes} with --bayesian")
    if "freeze" in arguments:
        arguments["freeze"] = _frozen(arguments["freeze"], arguments["n_components"])
    model = (fastgmm.BayesianGaussianMixture if bayesian else fastgmm.GaussianMixture)(**arguments)
    model._validate_params()
    return model

"""Packages that keep lists of scikit-learn's classes, and learn of fastgmm's.

None of them is imported here.
"""

import importlib
from types import ModuleType
from typing import Any

from fastgmm.import_hooks import when_imported
from fastgmm.patching import give_back


def register() -> None:
    """Make the estimators known to each package, as soon as it is imported."""
    when_imported("skl2onnx", _to_skl2onnx)
    when_imported("mlflow.sklearn", _to_mlflow)


def _classes() -> list[Any]:
    # Imported here: whoever needs none of these packages should not wait for scikit-learn.
    from fastgmm.bayesian_mixture import BayesianGaussianMixture
    from fastgmm.gaussian_mixture import GaussianMixture

    return [GaussianMixture, BayesianGaussianMixture]


def _to_skl2onnx(skl2onnx: ModuleType) -> None:
    """Register converters of fastgmm's models, and of scikit-learn's under the patch.

    Its modules may have been imported under the patch. They compare classes, and get
    scikit-learn's, which fastgmm's extend.
    """
    give_back("skl2onnx")
    converters = importlib.import_module("skl2onnx.operator_converters.gaussian_mixture")
    shapes = importlib.import_module("skl2onnx.shape_calculators.mixture")

    def convert(scope, operator, container):
        """Convert the plain model: the converter knows no other structures, and no noise."""
        model = operator.raw_operator
        if hasattr(model, "to_sklearn"):
            operator.raw_operator = plain = model.to_sklearn()
            if container.options and id(model) in container.options:
                container.options[id(plain)] = container.options[id(model)]
        return converters.convert_sklearn_gaussian_mixture(scope, operator, container)

    for ours in _classes():
        for cls in (ours._sklearn_class, ours):
            skl2onnx.update_registered_converter(
                cls,
                f"Sklearn{cls.__name__}",
                shapes.calculate_gaussian_mixture_output_shapes,
                convert,
                parser=_outputs_of_mixture,
                options={"score_samples": [True, False]},
            )


def _outputs_of_mixture(scope, model, inputs, custom_parsers=None):
    """The operator of a mixture and its outputs, as skl2onnx declares them for scikit-learn's."""
    types = importlib.import_module("skl2onnx.common.data_types")
    operator = scope.declare_local_operator(f"Sklearn{type(model).__name__}", model)
    operator.inputs = inputs
    operator.outputs.append(scope.declare_local_variable("label", types.Int64TensorType()))
    names = ["probabilities"]
    if scope.get_options(model, {"score_samples": False})["score_samples"]:
        names.append("score_samples")
    for name in names:
        floats = types.guess_tensor_type(inputs[0].type)  # each gets a shape of its own
        operator.outputs.append(scope.declare_local_variable(name, floats))
    return operator.outputs


def _to_mlflow(sklearn_flavor: ModuleType) -> None:
    """Let `mlflow.sklearn.autolog` treat fastgmm's classes as scikit-learn's.

    It watches the methods of all estimators that it finds, and logs the outermost fit.
    """
    utils: Any = importlib.import_module("mlflow.sklearn.utils")
    found = utils._all_estimators

    def with_ours():
        estimators = list(found())
        known = [cls for _, cls in estimators]
        return estimators + [(cls.__name__, cls) for cls in _classes() if cls not in known]

    utils._all_estimators = with_ours
    settings = importlib.import_module("mlflow.utils.autologging_utils")
    integration = settings.AUTOLOGGING_INTEGRATIONS.get("sklearn")
    if integration and not integration.get("disable", False):
        # It is on already: once more, with what it was called with, for the classes that are new.
        sklearn_flavor.autolog(**integration)

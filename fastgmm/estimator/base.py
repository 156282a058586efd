"""The estimator that both mixtures extend: its parts, saving, and the way to scikit-learn."""

import copy
from typing import Any, ClassVar

from sklearn.utils.metadata_routing import UNUSED

from fastgmm.covariance import STRUCTURES, CovarianceStructure
from fastgmm.engines.threads import ThreadEngine
from fastgmm.estimator.merging import StatisticsMixin
from fastgmm.estimator.predicting import PredictMixin
from fastgmm.estimator.training import FitMixin
from fastgmm.parameters import MixtureParameters
from fastgmm.persistence.models import save_model
from fastgmm.sklearn_interface import copy_fitted, knows_start


class MixtureEstimator(FitMixin, PredictMixin, StatisticsMixin):
    """Work of an estimator, to be mixed in before the class of scikit-learn that it extends.

    A subclass supplies `_sklearn_class`, `_model`, `_fitted_model` and `_parameters`.
    """

    _sklearn_class: ClassVar[Any]

    # Files are no metadata of the rows, to be routed to a step of a pipeline.
    __metadata_request__fit: ClassVar[dict] = {"checkpoint": UNUSED, "checkpoint_every": UNUSED}
    __metadata_request__predict: ClassVar[dict] = {"out": UNUSED}
    __metadata_request__predict_proba: ClassVar[dict] = {"out": UNUSED}

    def save(self, path):
        """Write the model, fitted or not, to a file that :func:`fastgmm.load` reads.

        The file holds numbers and names, no code and no pickle. It is replaced as a whole, or, if
        anything goes wrong, stays as it was.

        Parameters
        ----------
        path : path
            By custom ending in ``.npz``; NumPy opens it, too.

        Raises
        ------
        ValueError
            If an argument is a function, or attributes that were set by hand are no mixture's.
        TypeError
            If the model is of a subclass, which `load` could not know.
        OSError
            If the file cannot be written.
        """
        save_model(self, path)

    def to_sklearn(self):
        """The same model as scikit-learn's own class, for tools and machines that know only it.

        Returns
        -------
        model : sklearn.mixture.GaussianMixture or sklearn.mixture.BayesianGaussianMixture
            `init_params` and `reg_covar` that scikit-learn does not know become its defaults.
        """
        defaults = self._sklearn_class().get_params(deep=False)
        arguments = {name: getattr(self, name) for name in defaults}
        if not knows_start(self._sklearn_class, self.init_params):
            arguments["init_params"] = defaults["init_params"]
        if isinstance(self.reg_covar, str):
            arguments["reg_covar"] = defaults["reg_covar"]
        return copy_fitted(self._sklearn_class(**arguments), self)

    @classmethod
    def from_sklearn(cls, model, n_jobs=None):
        """The same model as this class.

        Parameters
        ----------
        model : sklearn.mixture.GaussianMixture or sklearn.mixture.BayesianGaussianMixture
            Fitted or not; of this class's name.
        n_jobs : int or None, default=None

        Returns
        -------
        model : object
            Of this class.

        Raises
        ------
        TypeError
            If `model` is something else.
        """
        if not isinstance(model, cls._sklearn_class):
            raise TypeError(
                f"from_sklearn takes a sklearn.mixture.{cls._sklearn_class.__name__}, but got "
                f"{type(model).__name__}."
            )
        arguments = {**model.get_params(deep=False), "n_jobs": n_jobs}
        return copy_fitted(cls(**arguments), model)

    def __sklearn_tags__(self):
        if isinstance(self.init_params, str):
            return super().__sklearn_tags__()
        # scikit-learn asks whether `init_params` is among some names, which an array cannot answer.
        named = copy.copy(self)
        named.init_params = "kmeans"
        return super(MixtureEstimator, named).__sklearn_tags__()

    # -- what the parts share ----------------------------------------------------------------------
    @property
    def _structure(self) -> CovarianceStructure:
        return STRUCTURES[self.covariance_type]

    @property
    def _engine(self) -> ThreadEngine:
        return ThreadEngine(self.n_jobs)

    def _parameters(self) -> MixtureParameters:
        """The public attributes as they stand, perhaps set by hand."""
        raise NotImplementedError

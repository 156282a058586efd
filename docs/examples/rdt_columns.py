"""RDT's numerical transformer (SDV, CTGAN, TVAE) on fastgmm, with the same columns coming out.

``pip install rdt`` first; then ``python docs/examples/rdt_columns.py [rows]``. Ends with exit code
1 if the transformed columns differ. Last run with RDT 2.0.0 and scikit-learn 1.9.1.
"""

import sys
import time
import warnings

import numpy as np
import pandas as pd
from rdt.transformers import ClusterBasedNormalizer
from sklearn.exceptions import ConvergenceWarning

import fastgmm


def table(n_rows):
    """Columns like those of a table of persons: several modes, long tails, one number often."""
    random = np.random.RandomState(0)
    part = random.randint(3, size=n_rows)
    worked = np.where(part == 1, 0.0, random.normal(40, 4, n_rows))
    return pd.DataFrame(
        {
            "age": random.gamma(9.0, 4.5, n_rows) + 17,
            "income": np.exp(random.normal(np.array([9.0, 10.3, 11.5])[part], 0.25)),
            "hours": worked + random.normal(0, 0.01, n_rows),
            "score": random.normal(
                np.array([-4.0, 0.0, 5.0])[part], np.array([0.5, 1.0, 2.0])[part]
            ),
        }
    )


def transform(data, make=ClusterBasedNormalizer):
    """Every column by RDT, unchanged: its columns, and the seconds that they took."""
    columns, begin = [], time.perf_counter()
    for name in data:
        transformer = make(max_clusters=10)
        columns.append(transformer.fit_transform(data[[name]], name))
    return pd.concat(columns, axis=1), time.perf_counter() - begin


class FastNormalizer(ClusterBasedNormalizer):
    """The transformer with its mixture fitted by fastgmm: the same arguments, and no patch."""

    def _fit(self, data):
        self._bgm_transformer = fastgmm.BayesianGaussianMixture(
            n_components=self.max_clusters,
            weight_concentration_prior_type="dirichlet_process",
            weight_concentration_prior=0.001,
            random_state=self._get_current_random_seed(),
        )
        super(ClusterBasedNormalizer, self)._fit(data)
        numbers = super(ClusterBasedNormalizer, self)._transform(data)
        self._bgm_transformer.fit(numbers.reshape(len(data), -1)[:, :1])
        self.valid_component_indicator = self._bgm_transformer.weights_ > self.weight_threshold


def same(one, other):
    """Whether transformed columns are equal, but for rounding in the normalized ones."""
    exact = [name for name in one if name.endswith("component")]
    rest = [name for name in one if name not in exact]
    return bool(one[exact].equals(other[exact]) and np.allclose(one[rest], other[rest], atol=1e-8))


def fit_all(data):
    """A mixture for every column, in one call."""
    return fastgmm.fit_many(
        data,
        n_components=10,
        estimator=fastgmm.BayesianGaussianMixture,
        columns="each",
        weight_concentration_prior=0.001,
        random_state=0,
    )


def main():
    """Transform by scikit-learn and in two ways by fastgmm, and compare; then all in one call."""
    warnings.simplefilter("ignore", ConvergenceWarning)  # as RDT does
    data = table(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
    transform(data[:500], FastNormalizer)  # compiles
    fit_all(data[:500])
    expected, slow = transform(data)

    fastgmm.patch_sklearn()
    patched, fast = transform(data)
    fastgmm.unpatch_sklearn()
    equal = same(patched, expected)
    print(f"scikit-learn {slow:.1f} s, fastgmm by the patch {fast:.1f} s, columns equal: {equal}")

    dropped_in, fast = transform(data, FastNormalizer)
    equal_too = same(dropped_in, expected)
    print(f"fastgmm without the patch {fast:.1f} s, columns equal: {equal_too}")

    begin = time.perf_counter()
    report = fit_all(data)
    seconds = time.perf_counter() - begin
    model = report["income"]
    alone = fastgmm.BayesianGaussianMixture(**model.get_params()).fit(data[["income"]])
    many = not len(report.failed) and np.array_equal(model.means_, alone.means_)
    print(f"fit_many: mixtures of {len(report)} columns in {seconds:.1f} s, as alone: {many}")
    sys.exit(not (equal and equal_too and many))


if __name__ == "__main__":
    main()

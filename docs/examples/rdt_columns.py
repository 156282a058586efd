"""RDT's numerical transformer (SDV, CTGAN, TVAE) on fastgmm, with the same columns coming out.

``pip install rdt`` first; then ``python docs/examples/rdt_columns.py [rows]``. Ends with exit code
1 if the transformed columns differ.
"""

import sys
import time

import numpy as np
import pandas as pd
from rdt.transformers import ClusterBasedNormalizer
from sklearn.mixture import BayesianGaussianMixture

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


def transform(data):
    """Every column by RDT, unchanged: its columns, and the seconds that they took."""
    columns, begin = [], time.perf_counter()
    for name in data:
        transformer = ClusterBasedNormalizer(max_clusters=10)
        columns.append(transformer.fit_transform(data[[name]], name))
    return pd.concat(columns, axis=1), time.perf_counter() - begin


def same(one, other):
    """Whether transformed columns are equal, but for rounding in the normalized ones."""
    exact = [name for name in one if name.endswith("component")]
    rest = [name for name in one if name not in exact]
    return bool(one[exact].equals(other[exact]) and np.allclose(one[rest], other[rest], atol=1e-8))


def main():
    """Transform with both, and compare; then the call that RDT makes, made directly."""
    data = table(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
    expected, slow = transform(data)
    fastgmm.patch_sklearn()
    fastgmm.BayesianGaussianMixture(n_components=2).fit(data[["age"]][:100])  # compiles
    found, fast = transform(data)
    fastgmm.unpatch_sklearn()
    equal = same(found, expected)
    print(f"scikit-learn {slow:.1f} s, fastgmm {fast:.1f} s, columns equal: {equal}")

    arguments = {
        "n_components": 10,
        "weight_concentration_prior_type": "dirichlet_process",
        "weight_concentration_prior": 0.001,
        "n_init": 1,
        "random_state": 0,
    }
    column = data[["income"]].to_numpy()
    ours = fastgmm.BayesianGaussianMixture(**arguments).fit(column)
    theirs = BayesianGaussianMixture(**arguments).fit(column)
    agree = ours.n_iter_ == theirs.n_iter_ and np.allclose(ours.means_, theirs.means_)
    print(f"without patch: {ours.n_iter_} and {theirs.n_iter_} iterations, means equal: {agree}")

    begin = time.perf_counter()
    report = fastgmm.fit_many(
        data,
        estimator=fastgmm.BayesianGaussianMixture,
        columns="each",
        **arguments,
    )
    seconds = time.perf_counter() - begin
    model = report["income"]
    alone = fastgmm.BayesianGaussianMixture(**model.get_params()).fit(data[["income"]])
    many = not len(report.failed) and np.array_equal(model.means_, alone.means_)
    print(f"fit_many: {len(report)} columns in {seconds:.1f} s, as alone: {many}")
    sys.exit(not (equal and agree and many))


if __name__ == "__main__":
    main()

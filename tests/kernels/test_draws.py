"""Random numbers made in a kernel: those of NumPy, to the last bit."""

import numpy as np
import pytest

from fastgmm.kernels.kmeans.draws import uniform_draws


@pytest.mark.parametrize("n_seeds", [1, 7, 16, 37])
@pytest.mark.parametrize("n_draws", [1, 9, 130, 700])  # the state is made anew after 312
def test_draws_are_those_of_random_state(n_seeds, n_draws):
    seeds = np.random.SeedSequence(n_draws).generate_state(n_seeds)
    seeds[-1], seeds[0] = 2**32 - 1, 0
    draws = np.empty((n_seeds, n_draws))
    uniform_draws()(seeds, draws)
    for seed, found in zip(seeds.tolist(), draws, strict=True):
        np.testing.assert_array_equal(found, np.random.RandomState(seed).random_sample(n_draws))

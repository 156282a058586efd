"""Random numbers of many seeds at once: the stream of NumPy's ``RandomState``.

The Mersenne twister MT19937 (Matsumoto and Nishimura 1998): a state of 624 words that follow from
the seed one after another, and a recurrence that makes a word from three of the last 624.
"""

import numpy as np
from numba import types

from fastgmm.kernels.compile import entry_point, kernel
from fastgmm.kernels.signatures import array_type

_WORDS, _MIDDLE = 624, 397
_LANES = 16
"""Seeds that are worked on side by side: every word waits for the one before."""


@kernel
def _fill(state, seeds):
    """First state of every seed, (words, lanes)."""
    factor, shift = np.uint32(1812433253), np.uint32(30)
    for lane in range(_LANES):
        state[0, lane] = seeds[min(lane, len(seeds) - 1)]
    for i in range(1, _WORDS):
        number = np.uint32(i)
        for lane in range(_LANES):
            before = state[i - 1, lane]
            state[i, lane] = np.uint32(factor * (before ^ (before >> shift))) + number


@kernel
def _next_words(state, i, words):
    """Bring word i of the states up to date, and temper it into `words`."""
    low, odd, matrix = np.uint32(0x7FFFFFFF), np.uint32(1), np.uint32(0x9908B0DF)
    old, following = state[i], state[(i + 1) % _WORDS]
    other = state[(i + _MIDDLE) % _WORDS]
    for lane in range(_LANES):
        word = (old[lane] & ~low) | (following[lane] & low)
        word = other[lane] ^ (word >> odd) ^ ((word & odd) * matrix)
        old[lane] = word
        word ^= word >> np.uint32(11)
        word ^= (word << np.uint32(7)) & np.uint32(0x9D2C5680)
        word ^= (word << np.uint32(15)) & np.uint32(0xEFC60000)
        words[lane] = word ^ (word >> np.uint32(18))


@entry_point
def uniform_draws():
    """Kernel for numbers that are uniform between 0 and 1.

    Returns
    -------
    callable (seeds, draws)
        seeds (m,) of uint32; out: draws (m, n), ``RandomState(seed).random_sample(n)`` of each.
    """
    signature = types.void(array_type(types.uint32, 1), types.Array(types.float64, 2, "C"))

    @kernel(signature=signature)
    def draw(seeds, draws):
        n_sets, n = draws.shape
        state = np.empty((_WORDS, _LANES), dtype=np.uint32)
        upper, lower = np.empty((2, _LANES), dtype=np.uint32)
        for first in range(0, n_sets, _LANES):
            _fill(state, seeds[first : first + _LANES])
            for m in range(n):
                _next_words(state, 2 * m % _WORDS, upper)
                _next_words(state, (2 * m + 1) % _WORDS, lower)
                for lane in range(min(_LANES, n_sets - first)):
                    # 27 and 26 bits make the 53 of a number.
                    high, low = float(upper[lane] >> 5), float(lower[lane] >> 6)
                    draws[first + lane, m] = (high * 67108864.0 + low) / 9007199254740992.0

    return draw

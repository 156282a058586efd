"""What forms have in common for a cell's components: their numbers side by side, and sums back."""

from fastgmm.kernels.compile import inlined


@inlined
def take_listed(numbers, listed, begin, end, taken):
    """taken[i] = numbers[listed[i]] for begin <= i < end; both have two axes."""
    for i in range(begin, end):
        # Number by number: Numba would compile the words of an error else.
        for j in range(taken.shape[1]):
            taken[i, j] = numbers[listed[i], j]


@inlined
def clear_listed(sums, count):
    """sums[:count] = 0."""
    for i in range(count):
        for j in range(sums.shape[1]):
            sums[i, j] = 0.0


@inlined
def add_listed(sums, listed, count, blocks):
    """blocks[listed[i]] += sums[i] for i < count."""
    for i in range(count):
        for j in range(sums.shape[1]):
            blocks[listed[i], j] += sums[i, j]

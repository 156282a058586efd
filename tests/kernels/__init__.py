"""The kernels: micro-kernels, elementary functions, passes over rows."""

from numba import typeof

from fastgmm.kernels.compile import kernel


def compile_when_called(function):
    """A function of what only kernels can call, compiled for each new types of arguments."""
    made = {}

    def call(*arguments):
        signature = tuple(map(typeof, arguments))
        if signature not in made:
            made[signature] = kernel(function, signature=signature)
        return made[signature](*arguments)

    return call

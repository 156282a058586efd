"""The kernels: micro-kernels, elementary functions, passes over rows."""

from numba import typeof

from fastgmm.kernels.compile import entry_point, kernel


def compile_when_called(function):
    """A function of what only kernels can call, compiled for each new types of arguments."""

    @entry_point
    def make(*signature):
        return kernel(function, signature=signature)

    return lambda *arguments: make(*map(typeof, arguments))(*arguments)

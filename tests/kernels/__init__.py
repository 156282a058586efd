"""The kernels: micro-kernels, elementary functions, passes over rows."""

import inspect

from numba import typeof

from fastgmm.kernels.compile import kernel


def compile_when_called(function):
    """A function of what only kernels can call, compiled for each new types of arguments."""
    names = ", ".join(inspect.signature(function).parameters)
    namespace, made = {"inner": kernel(function)}, {}
    exec(f"def call({names}):\n    return inner({names})", namespace)

    def call(*arguments):
        signature = tuple(map(typeof, arguments))
        if signature not in made:
            made[signature] = kernel(namespace["call"], signature=signature)
        return made[signature](*arguments)

    return call

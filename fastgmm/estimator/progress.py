"""Progress of a fit: scikit-learn's messages, and its callbacks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from fastgmm.em import EMResult, Listener

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # before scikit-learn 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Callbacks are not supported."""


__all__ = ["CallbackSupportMixin", "Callbacks", "Messages", "telling"]


class Messages(Listener):
    """Prints scikit-learn's messages, as far as `verbose` asks for them."""

    def __init__(self, estimator: Any):
        self._estimator = estimator

    def restart_begins(self, number):
        self._estimator._print_verbose_msg_init_beg(number)

    def iteration_ends(self, result, change):
        self._estimator._print_verbose_msg_iter_end(result.n_iter, change)

    def restart_ends(self, result):
        if result.n_iter:
            self._estimator._print_verbose_msg_init_end(result.lower_bound, result.converged)


class Callbacks(Listener):
    """Calls the callbacks of an estimator: a task per restart, and in it one per iteration.

    Parameters
    ----------
    estimator : estimator
    besides : Listener
        Hears of everything, too.
    fit_context : sklearn.callback.CallbackContext
        Of the task that is the whole fit.
    data : dict
        What all callbacks may ask for: X, y and metadata.
    attributes : callable
        Fitted attributes from an `EMResult`.
    """

    def __init__(
        self,
        estimator: Any,
        besides: Listener,
        fit_context: Any,
        data: dict[str, Any],
        attributes: Callable[[EMResult], dict[str, Any]],
    ):
        self._estimator = estimator
        self._besides = besides
        self._contexts = [fit_context]
        self._data = data
        self._attributes = attributes

    def restart_begins(self, number):
        self._besides.restart_begins(number)
        self._begin("initialization", self._estimator.max_iter)

    def iteration_begins(self, number):
        self._besides.iteration_begins(number)
        self._begin("iteration", 0)

    def iteration_ends(self, result, change):
        stop = self._besides.iteration_ends(result, change)
        return self._end(result) or stop

    def restart_ends(self, result):
        stop = self._besides.restart_ends(result)
        return self._end(result) or stop

    def restart_fails(self):
        self._besides.restart_fails()
        while len(self._contexts) > 1:
            self._contexts.pop().call_on_fit_task_end(estimator=self._estimator, **self._data)

    def _begin(self, name: str, most_subtasks: int) -> None:
        context = self._contexts[-1].subcontext(task_name=name, max_subtasks=most_subtasks)
        self._contexts.append(context)
        context.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def _end(self, result: EMResult) -> bool:
        return self._contexts.pop().call_on_fit_task_end(
            estimator=self._estimator,
            reconstruction_attributes=partial(self._attributes, result),
            **self._data,
        )


@contextmanager
def telling(estimator: Any, X, y, sample_weight, labels) -> Iterator[Callable[..., Listener]]:
    """Tell the callbacks of a fit when it begins and ends; yields what makes its listener.

    Parameters
    ----------
    estimator : estimator
    X, y, sample_weight, labels
        As the caller gives them to the fit.

    Yields
    ------
    callable
        Makes a listener from a function that makes fitted attributes from an `EMResult`.
    """
    listener = estimator._listener or (Messages(estimator) if estimator.verbose else Listener())
    if not hasattr(estimator, "_skl_callbacks"):
        yield lambda attributes: listener
        return
    # scikit-learn's ScoringMonitor scores nothing without y, which a mixture ignores.
    data: dict[str, Any] = {"X": X, "y": X if y is None else y}
    given = {"sample_weight": sample_weight, "labels": labels}
    metadata = {name: value for name, value in given.items() if value is not None}
    if metadata:
        data["metadata"] = metadata
    context = estimator._init_callback_context(max_subtasks=estimator.n_init)
    context.call_on_fit_task_begin(estimator=estimator, **data)
    yield partial(Callbacks, estimator, listener, context, data)
    context.call_on_fit_task_end(estimator=estimator, reconstruction_attributes={}, **data)

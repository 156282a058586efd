"""Dask's client: which one there is, and tasks that are waited for."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fastgmm.sources.optional import import_optional


class ClusterError(OSError):
    """What goes wrong on a cluster and is about no argument and no single row."""


class WorkersDied(ClusterError):
    """Every worker that took up some work died."""


class PartitionError(ValueError):
    """What is wrong with the rows of a partition; the text names it."""


def distributed() -> Any:
    """The package dask.distributed."""
    return import_optional("distributed", "Working on a Dask cluster", "dask")


def current_client() -> Any:
    """The client that Dask uses at present; None if there is none.

    Raises
    ------
    ImportError
        If dask.distributed is not installed.
    """
    try:
        return distributed().Client.current()
    except ValueError:
        return None


def needed_client() -> Any:
    """The client that Dask uses at present.

    Raises
    ------
    ClusterError
        If there is none.
    """
    client = current_client()
    if client is None:
        raise ClusterError(
            "engine='dask' works on the current Dask client, but there is none. Make one first: "
            "from dask.distributed import Client; client = Client()"
        )
    return client


def current_worker() -> Any:
    """The worker whose task this is; None elsewhere."""
    try:
        return distributed().get_worker()
    except ValueError:
        return None


def check_open(client: Any) -> None:
    """Check that a client is connected, and one that a fit can wait for.

    Raises
    ------
    ClusterError
    """
    if client.asynchronous:
        raise ClusterError(
            "The Dask client is asynchronous, and a fit waits for what the cluster computes. Make "
            "one that waits, dask.distributed.Client(address), and fit outside the event loop: "
            "await asyncio.to_thread(model.fit, X)."
        )
    if client.status != "running":
        raise ClusterError(
            f"The Dask client is {client.status}, so that nothing can be computed with it. Make a "
            "new one, dask.distributed.Client(...), and make the rows anew."
        )


@contextmanager
def scheduler_errors() -> Iterator[None]:
    """Say in plain words that the scheduler is gone.

    Raises
    ------
    ClusterError
    """
    try:
        yield
    except ClusterError:
        raise
    except (OSError, TimeoutError) as error:
        raise ClusterError(
            f"The scheduler of the Dask cluster cannot be reached: {error}"
        ) from error


def completed(futures: Sequence[Any]) -> Iterator[Any]:
    """Futures, as they are done; if that is interrupted or left, the others are given up."""
    try:
        yield from distributed().as_completed(futures)
    finally:
        let_go(future for future in futures if not future.done())


def let_go(futures: Iterable[Any]) -> None:
    """Give futures up: what has not begun is not begun any more.

    Unlike `Client.cancel` it waits for no scheduler, which may be gone or hang.
    """
    for future in list(futures):
        future.release()


def result_of(client: Any, future: Any, words: str) -> Any:
    """What a future that is done came to.

    Parameters
    ----------
    client : Client
    future : Future
    words : str
        What it is about, as the subject of a sentence.

    Raises
    ------
    PartitionError
        That the task raised.
    ClusterError
        If it was cancelled, or raised anything else.
    """
    if future.status == "cancelled":
        check_open(client)
        raise ClusterError(
            f"{words}: the work on the cluster was cancelled, its scheduler is gone, or the rows "
            "were persisted by another client."
        )
    if future.status != "error":  # perhaps it is lost with its worker, and being made anew
        with scheduler_errors():
            return future.result()
    error = future.exception()
    if isinstance(error, PartitionError):
        raise error
    if _died(future):
        raise WorkersDied(
            f"{words}: every worker that took up the work died, most often for lack of memory. "
            "Give the workers more of it, or make the partitions smaller."
        ) from error
    raise ClusterError(f"{words} cannot be computed: {type(error).__name__}: {error}") from error


def results(client: Any, futures: Sequence[Any], words: str = "Partition") -> list[Any]:
    """Wait for a future of every partition.

    Raises
    ------
    PartitionError, ClusterError
        Naming the partitions that are known to fail.
    """
    wait_for(client, futures, words)
    with scheduler_errors():
        return list(client.gather(list(futures)))


def wait_for(client: Any, futures: Sequence[Any], words: str = "Partition") -> None:
    """The same, without fetching what comes out.

    Raises
    ------
    PartitionError, ClusterError
    """
    for future in completed(futures):
        if future.status in ("error", "cancelled"):
            failed = failures(client, futures) or [list(futures).index(future)]
            result_of(client, futures[failed[0]], counted(failed, words))


def failures(client: Any, futures: Sequence[Any]) -> list[int]:
    """Numbers of the futures that are at fault, as far as is known.

    The first one, if its task raised. If workers died, all that were at work or waiting on one of
    them, for Dask does not tell which of them it died of.
    """
    client.sync(_all_is_told)
    failed = [number for number, future in enumerate(futures) if future.status == "error"]
    raised = [number for number in failed if not _died(futures[number])]
    return raised[:1] or failed


async def _all_is_told() -> None:
    """The client's loop has dealt with all messages that came together."""


def _died(future: Any) -> bool:
    return type(future.exception()).__name__ == "KilledWorker"


def counted(numbers: Sequence[int], words: str = "Partition") -> str:
    """Partitions, by their numbers, as the beginning of a sentence."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    spans = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    plural = "s" if len(runs) > 1 or len(runs[0]) > 1 else ""
    return f"{words}{plural} {', '.join(spans)}"

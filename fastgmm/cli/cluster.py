"""``--dask``: the cluster that a command works on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from fastgmm.engines.threads import usable_cores
from fastgmm.sources.optional import import_optional

Dask = Annotated[
    str | None,
    typer.Option(
        "--dask",
        metavar="ADDRESS",
        help="Work on a Dask cluster: the address of its scheduler, as tcp://host:8786, or 'local' "
        "for one of this machine's cores. The workers read the files (fit-many sends them rows); "
        "--memory-limit is that of each.",
    ),
]

_SECONDS = 15
"""To wait for a scheduler that may not be there."""


def work_on_cluster(context: typer.Context) -> None:
    """Let a command work on the cluster that it was called with, if any."""
    address = context.params["dask"]
    if address is not None:
        context.with_resource(_cluster_at(address))


@contextmanager
def _cluster_at(address: str) -> Iterator[None]:
    """A cluster to work on, which is the current one within this context.

    Parameters
    ----------
    address : str
        Of a scheduler, or ``local``.

    Raises
    ------
    OSError
        If there is no scheduler.
    """
    distributed = import_optional("distributed", "--dask", "dask")
    if address == "local":
        local = distributed.LocalCluster(
            n_workers=usable_cores(), threads_per_worker=1, dashboard_address=":0"
        )
        with local, distributed.Client(local):
            yield
        return
    try:
        client = distributed.Client(address, timeout=_SECONDS)
    except (OSError, TimeoutError, ValueError) as error:
        raise OSError(f"--dask {address}: there is no scheduler of Dask: {error}") from None
    with client:
        yield

"""The one exception that ends a run without a verdict."""


class GateError(Exception):
    """The gate cannot tell; the message says why in terms of the caller. Exit code 2."""


def last_lines(text: str, count: int = 12) -> str:
    """The end of what a process said, where the reason stands."""
    return "\n".join(text.strip().splitlines()[-count:])

"""``python zygote.py PACKAGE ...``: a process that imports much, and of which others are forked.

Each begins as `python -c` does, with streams, a folder and variables of its own, and it ends as any
other. `tests.fresh` asks for them: it sends four descriptors to the standard input, which is a
socket, and over the first of them, another socket, what the process is to be. It gets the number of
the process, and its exit code as soon as there is one.
"""

import contextlib
import gc
import importlib
import io
import os
import pickle
import signal
import socket
import sys
import types


def become():
    """What the process that this has become is to do: its code."""
    requests = socket.socket(fileno=0)
    # Nobody waits for the processes that do nothing but wait for another.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the end of the tests is its end, too
    while True:
        _, descriptors, _, _ = socket.recv_fds(requests, 1, 4)
        if not descriptors:  # the tests are over
            os._exit(0)
        if os.fork() == 0:
            break
        for descriptor in descriptors:
            os.close(descriptor)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    channel = socket.socket(fileno=descriptors[0])
    with channel.makefile("rb") as file:
        request = pickle.load(file)
    process = os.fork()
    if process:
        for descriptor in descriptors[1:]:
            os.close(descriptor)
        channel.sendall(process.to_bytes(4))
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        channel.sendall(code.to_bytes(4, signed=True))
        os._exit(0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    channel.close()
    requests.detach()
    for number, descriptor in enumerate(descriptors[1:]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if number in request["closed"]:
            os.close(number)
            stream = None
        elif number == 0:
            stream = open(number, closefd=False)  # noqa: SIM115
        else:
            stream = io.TextIOWrapper(
                open(number, "wb", 0 if unbuffered else -1, closefd=False),  # noqa: SIM115
                errors=("strict", "backslashreplace")[number - 1],
                line_buffering=number == 2 or os.isatty(number),
                write_through=unbuffered,
            )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.argv = ["-c", *request["arguments"]]
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = ["", *filter(None, paths)]
    sys.modules["numba"].config.reload_config()  # of the variables
    sys.modules["__main__"] = types.ModuleType("__main__")
    return request["code"]


if __name__ == "__main__":
    for package in sys.argv[1:]:
        with contextlib.suppress(ImportError):  # who needs it will say so
            importlib.import_module(package)
    gc.collect()  # what is left stays shared
    gc.freeze()
    code = become()
    exec(code, vars(sys.modules["__main__"]))

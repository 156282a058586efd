"""A file is the old one or the new one, whatever happens while it is written."""

import errno
import multiprocessing
import os
import random
import re
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from fastgmm.files import atomic
from fastgmm.files.atomic import atomic_write, check_writable
from fastgmm.saved.models import load, save_model
from tests.saved.models import assert_same_model, fitted
from tests.systems import largest_file, linux_only, unix_only


def names(folder):
    return sorted(os.listdir(folder))


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "file"
    for content in (b"one", b"", bytes(10**6)):
        atomic_write(path, content)
        assert path.read_bytes() == content
    assert names(tmp_path) == ["file"]


def test_a_path_may_be_text_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    atomic_write("file", b"one")
    assert (tmp_path / "file").read_bytes() == b"one"


def test_the_mode_is_that_of_any_new_file(tmp_path):
    atomic_write(tmp_path / "file", b"one")
    (tmp_path / "other").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "other")]
    assert modes[0] == modes[1]


@unix_only  # making a link takes a privilege on Windows
def test_links_are_followed(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "file")
    atomic_write(tmp_path / "link", b"one")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "file").read_bytes() == b"one"


@pytest.mark.parametrize("write", [lambda path: atomic_write(path, b""), check_writable])
def test_a_folder_is_not_replaced(tmp_path, write):
    with pytest.raises(IsADirectoryError, match=re.escape(repr(str(tmp_path)))):
        write(tmp_path)


@unix_only
@pytest.mark.parametrize("write", [lambda path: atomic_write(path, b""), check_writable])
def test_a_device_is_not_replaced(write):
    with pytest.raises(OSError, match="/dev/null"):
        write("/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_missing_folder_is_named(tmp_path):
    path = tmp_path / "missing" / "file"
    for write in (lambda path: atomic_write(path, b""), check_writable):
        with pytest.raises(FileNotFoundError, match=re.escape(f"in writing: {str(path)!r}")):
            write(path)


def test_a_folder_without_permission_is_named(tmp_path, monkeypatch):
    def refuse(*arguments, **options):  # by hand: root may write everywhere
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(PermissionError, match="file"):
        atomic_write(tmp_path / "file", b"")


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_any_failure_leaves_the_old_content(tmp_path, monkeypatch, step):
    path = tmp_path / "file"
    atomic_write(path, b"old")

    def fail(*arguments):
        raise OSError(5, "Input/output error")

    if step == "write":
        monkeypatch.setattr("builtins.open", fail)
    else:
        monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match=r"Input/output error, in writing: .*file"):
        atomic_write(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_file_that_others_have_open_is_waited_for(tmp_path, monkeypatch):
    """As on Windows, where it cannot be replaced meanwhile."""
    refusals, replace = iter(range(2)), os.replace

    def refuse_at_first(*paths):
        if next(refusals, None) is not None:
            raise PermissionError(13, "Permission denied")
        replace(*paths)

    monkeypatch.setattr(atomic, "_PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr(os, "replace", refuse_at_first)
    atomic_write(tmp_path / "file", b"one")
    assert (tmp_path / "file").read_bytes() == b"one"
    monkeypatch.setattr(atomic, "_PAUSES", (0.0,))
    refusals = iter(range(2))
    with pytest.raises(PermissionError, match=r"in writing: .*file"):
        atomic_write(tmp_path / "file", b"two")
    assert (tmp_path / "file").read_bytes() == b"one"
    assert names(tmp_path) == ["file"]


def test_an_interruption_leaves_the_old_content(tmp_path, monkeypatch):
    def interrupt(descriptor):
        raise KeyboardInterrupt

    atomic_write(tmp_path / "file", b"old")
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_leftovers_of_killed_processes_go(tmp_path):
    old, new = tmp_path / ".fi[l]e.0123.tmp", tmp_path / ".fi[l]e.4567.tmp"
    others = tmp_path / ".file2.0123.tmp", tmp_path / ".fi[l]e"
    for leftover in (old, new, *others):
        leftover.touch()
        if leftover is not new:
            os.utime(leftover, (0, 0))
    atomic_write(tmp_path / "fi[l]e", b"")
    assert names(tmp_path) == sorted(["fi[l]e", new.name, *(other.name for other in others)])


@unix_only  # on Windows, those who read keep others from writing
def test_many_writers_do_not_mix(tmp_path):
    path = tmp_path / "file"
    contents = [bytes([i]) * 10**5 for i in range(8)]
    seen = set()

    def write(content):
        for _ in range(20):
            atomic_write(path, content)
            seen.add(path.read_bytes())

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen <= set(contents)
    assert names(tmp_path) == ["file"]


# -- folders that cannot do everything -------------------------------------------------------------
def is_folder(descriptor):
    return stat.S_ISDIR(os.fstat(descriptor).st_mode)


@pytest.mark.parametrize("name", ["EINVAL", "ENOTSUP", "ENOSYS", "EBADF", "EACCES", "EIO"])
@pytest.mark.parametrize("write", [lambda path: atomic_write(path, b"new"), check_writable])
def test_a_folder_that_cannot_be_synced(tmp_path, monkeypatch, name, write):
    """As on CIFS, VirtualBox's folders and FUSE; but a disk that has failed is told."""
    path, fsync, number = tmp_path / "file", os.fsync, getattr(errno, name)
    path.write_bytes(b"old")

    def refuse(descriptor):
        if is_folder(descriptor):
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    if name == "EIO" and hasattr(os, "O_DIRECTORY"):
        with pytest.raises(OSError, match=r"in writing: .*file"):
            write(path)
    else:
        write(path)
    assert path.read_bytes() == (b"old" if write is check_writable else b"new")
    assert names(tmp_path) == ["file"]


def written_by_another_user(path):
    """What a process of the user 'nobody' says when it has written to a path.

    A forked one, which needs no right to read Python's own files.
    """
    receiver, sender = multiprocessing.get_context("fork").Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(
        target=write_as_nobody, args=(sender, path)
    )
    process.start()
    process.join()
    return receiver.recv()


def write_as_nobody(sender, path):
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    try:
        check_writable(path)
        atomic_write(path, b"new")
        sender.send("done")
    except OSError as error:
        sender.send(str(error))


@pytest.fixture
def open_folder():
    """A folder that other users come to."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


@linux_only
def test_a_folder_that_may_be_written_but_not_read(open_folder):
    os.chmod(open_folder, 0o333)
    assert written_by_another_user(open_folder / "file") == "done"
    assert (open_folder / "file").read_bytes() == b"new"


@linux_only
def test_a_folder_without_permission(open_folder):
    os.chmod(open_folder, 0o555)
    assert "Permission denied, in writing" in written_by_another_user(open_folder / "file")
    assert names(open_folder) == []


@linux_only
@pytest.mark.skipif("os.geteuid() != 0", reason="needs two users")
def test_the_file_of_another_user_in_a_sticky_folder(open_folder):
    """As in /tmp: it can be read, and files made beside it, but it cannot be replaced."""
    os.chown(open_folder, 1, 1)
    os.chmod(open_folder, 0o1777)
    (open_folder / "file").write_bytes(b"old")
    assert "another user in a sticky folder, in" in written_by_another_user(open_folder / "file")
    assert names(open_folder) == ["file"]
    assert written_by_another_user(open_folder / "other") == "done"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_what_would_fail_at_the_end_is_tried_before(tmp_path, monkeypatch, step):
    def refuse(*arguments):
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "_PAUSES", ())
        patch.setattr(os, step, refuse)
        with pytest.raises(PermissionError, match="Operation not permitted, in writing"):
            check_writable(tmp_path / "file")
    assert names(tmp_path) == []


@unix_only
@pytest.mark.parametrize("write", [lambda path: atomic_write(path, b""), check_writable])
def test_a_loop_of_links(tmp_path, write):
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    with pytest.raises(OSError, match=r"(symbolic links|Symbolic link loop).*, in writing: .*one"):
        write(tmp_path / "one")
    assert names(tmp_path) == ["one", "two"]


def test_files_are_never_opened_as_text(tmp_path, monkeypatch):
    """On Windows that would take a last byte 0x1A off them."""
    opened, binary, real = [], 1 << 30, os.open

    def record(path, flags, *mode, **options):
        opened.append(flags)
        return real(path, flags & ~binary, *mode, **options)

    monkeypatch.setattr(os, "O_BINARY", binary, raising=False)
    monkeypatch.setattr(os, "open", record)
    atomic_write(tmp_path / "file", b"one\x1a")
    assert (tmp_path / "file").read_bytes() == b"one\x1a"
    to_be_read_and_written = [flags for flags in opened if flags & os.O_RDWR]
    assert to_be_read_and_written
    assert all(flags & binary for flags in to_be_read_and_written)


# -- killed ----------------------------------------------------------------------------------------
# The one file by its path: importing the package takes a hundred times longer.
WRITE_FOR_EVER = """
import runpy
import sys
atomic_write = runpy.run_path(sys.argv[2])["atomic_write"]
sizes = (10, 400_000, 20_000)
number = int(sys.argv[3])
while True:
    number += 1
    atomic_write(sys.argv[1], number.to_bytes(8, "little") * sizes[number % 3])
    print(number, flush=True)
"""


@pytest.mark.slow
def test_killed_at_any_moment(tmp_path):
    """Whatever is read is whole, and no older than what was said to be written."""
    path = tmp_path / "file"
    chance, last, seconds = random.Random(0), 0, 0.0
    for turn in range(32):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITE_FOR_EVER, str(path), atomic.__file__, str(last)],
            stdout=subprocess.PIPE,
            text=True,
        )
        # However slow the disk is: some turns are killed in the first write, and others, after some
        # have been done, within the time that three take.
        began = time.monotonic()
        said = [writer.stdout.readline() for _ in range(3 * (turn % 4 > 0))]
        if said:
            seconds = time.monotonic() - began
        time.sleep(chance.uniform(0.0, seconds))
        writer.kill()
        rest = writer.stdout.read().splitlines(keepends=True)
        writer.wait()
        writer.stdout.close()
        done = [int(line) for line in [*said, *rest] if line.endswith("\n")]
        if not path.exists():
            assert not done
            continue
        content = path.read_bytes()
        number = int.from_bytes(content[:8], "little")
        assert content == content[:8] * (10, 400_000, 20_000)[number % 3]
        # It may have been killed between the end of a write and saying so.
        assert number in {max(done, default=last), max(done, default=last) + 1}
        last = number
    assert last >= 72  # three in each of 24 turns
    atomic_write(path, b"new")
    assert path.read_bytes() == b"new"


# -- a full disk -----------------------------------------------------------------------------------
@pytest.fixture
def small_disk(tmp_path):
    """A disk of one megabyte, where the system lets us mount one."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "fastgmm-test", str(tmp_path)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a disk")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


@linux_only
def test_a_full_disk_leaves_the_last_good_file(small_disk):
    path = small_disk / "model.npz"
    save_model(fitted(), path)
    (small_disk / "rubbish").write_bytes(bytes(900_000))
    with pytest.raises(OSError, match=r"No space left on device, in writing: .*model\.npz"):
        atomic_write(path, bytes(200_000))
    assert names(small_disk) == ["model.npz", "rubbish"]
    assert_same_model(load(path), fitted())


@unix_only
def test_a_file_that_may_not_grow_leaves_the_last_good_one(tmp_path):
    path = tmp_path / "model.npz"
    save_model(fitted(), path)
    with (
        largest_file(1000),
        pytest.raises(OSError, match=r"File too large, in writing: .*model\.npz"),
    ):
        save_model(fitted(structure="tied"), path)
    assert names(tmp_path) == ["model.npz"]
    assert_same_model(load(path), fitted())

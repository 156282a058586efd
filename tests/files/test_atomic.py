"""A file is the old one or the new one, whatever happens while it is written."""

import os
import random
import re
import stat
import subprocess
import sys
import threading
import time

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


# The one file by its path: importing the package takes a hundred times longer.
WRITE_FOR_EVER = """
import runpy
import sys
atomic_write = runpy.run_path(sys.argv[2])["atomic_write"]
sizes = (10, 3_000_000, 100_000)
print("ready", flush=True)
number = 0
while True:
    number += 1
    atomic_write(sys.argv[1], number.to_bytes(8, "little") * sizes[number % 3])
"""


@pytest.mark.slow
def test_killed_at_any_moment(tmp_path):
    path = tmp_path / "file"
    chance = random.Random(0)
    last = 0
    for turn in range(40):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITE_FOR_EVER, str(path), atomic.__file__],
            stdout=subprocess.PIPE,
        )
        writer.stdout.readline()
        # A slow disk is given longer, until something has been written.
        time.sleep(chance.uniform(0.0, 0.1 if last else 0.1 * (turn + 1)))
        writer.kill()
        writer.wait()
        writer.stdout.close()
        if last == 0 and not path.exists():
            continue
        content = path.read_bytes()
        last = int.from_bytes(content[:8], "little")
        assert content == content[:8] * (10, 3_000_000, 100_000)[last % 3]
    assert last > 0
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

"""The state folder: where it is, who may enter, and that what is written there is whole."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from lb.control.statedir import set_aside, state_dir, sticky_key, write_whole

NONE = SimpleNamespace(state_dir=None)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_configured_folder_is_taken_as_it_is(tmp_path):
    wanted = tmp_path / "some" / "where"
    assert state_dir(SimpleNamespace(state_dir=str(wanted)), Path("lb.yaml")) == wanted
    assert mode(wanted) == 0o700
    assert state_dir(SimpleNamespace(state_dir=str(wanted)), Path("lb.yaml")) == wanted


def test_each_configuration_has_its_own_by_default(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path}/state:/other")
    monkeypatch.chdir(tmp_path)
    found = state_dir(NONE, Path("lb.yaml"))
    name = hashlib.sha256(str(tmp_path / "lb.yaml").encode()).hexdigest()[:12]
    assert found == tmp_path / "state" / name
    assert mode(found) == 0o700
    assert state_dir(NONE, tmp_path / "lb.yaml") == found
    assert state_dir(NONE, tmp_path / "other.yaml") != found


@pytest.mark.parametrize(
    ("uid", "variables", "parent"),
    [
        (1000, {"XDG_STATE_HOME": "{tmp}/xdg"}, "{tmp}/xdg/lb"),
        (1000, {}, "{tmp}/.local/state/lb"),
        (0, {"XDG_STATE_HOME": "{tmp}/xdg"}, "/var/lib/lb"),
    ],
)
def test_the_default_place(tmp_path, monkeypatch, uid, variables, parent):
    made = []
    monkeypatch.setattr("lb.control.statedir._made", lambda folder: made.append(folder) or folder)
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    for name in ("STATE_DIRECTORY", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp=tmp_path))
    state_dir(NONE, Path("/etc/lb.yaml"))
    assert str(made[0].parent) == parent.format(tmp=tmp_path)


def test_where_none_can_be_made_there_is_a_temporary_one(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "file"))
    found = state_dir(NONE, Path("lb.yaml"))
    assert mode(found) == 0o700
    found.rmdir()
    assert "set state_dir" in caplog.text


def test_a_configured_one_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        state_dir(SimpleNamespace(state_dir=str(tmp_path / "file" / "x")), Path("lb.yaml"))


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "records"
    write_whole(path, b"old")
    assert mode(path) == 0o600

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"new and longer")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path], "nothing is left beside it"


def test_the_new_one_is_on_the_disk_before_it_has_the_name(tmp_path, monkeypatch):
    order = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: order.append("sync") or sync(fd))
    monkeypatch.setattr(os, "replace", lambda *names: order.append("rename") or replace(*names))
    write_whole(tmp_path / "records", b"new")
    assert order == ["sync", "rename", "sync"]


def test_what_is_set_aside_can_be_looked_at(tmp_path):
    (tmp_path / "records").write_text("nonsense")
    assert set_aside(tmp_path / "records").read_text() == "nonsense"
    assert not (tmp_path / "records").exists()


def test_the_secret_is_made_once(tmp_path):
    found = sticky_key(tmp_path)
    assert len(bytes.fromhex(found)) == 32
    assert sticky_key(tmp_path) == found
    assert [mode(path) for path in tmp_path.iterdir()] == [0o600]


def test_two_that_make_it_at_once_agree(tmp_path, monkeypatch):
    first = sticky_key(tmp_path)
    found = iter(["", first])  # the other one is quicker
    monkeypatch.setattr("lb.control.statedir._read_key", lambda path: next(found))
    assert sticky_key(tmp_path) == first


@pytest.mark.parametrize("content", ["", "short", "g" * 64, "\xff" * 64])
def test_a_secret_that_is_none_is_replaced_and_kept_for_a_look(tmp_path, content, caplog):
    (tmp_path / "sticky.key").write_text(content, encoding="latin-1")
    found = sticky_key(tmp_path)
    assert len(found) == 64
    assert sticky_key(tmp_path) == found
    assert len(list(tmp_path.glob("sticky.key.broken-*"))) == 1
    assert "sessions move" in caplog.text
    assert found not in caplog.text


def test_without_a_folder_there_is_a_secret_all_the_same(tmp_path, caplog):
    assert len(sticky_key(tmp_path / "missing")) == 64
    assert "cannot be kept" in caplog.text

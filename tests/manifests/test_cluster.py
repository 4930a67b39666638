"""The real API server is built where it can be, and what is missing elsewhere is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import BIN
from tests.manifests import cluster


def tool(folder: Path, name: str, says: str = "") -> None:
    """A program on the path that says something and ends well."""
    (folder / name).write_text(f"#!/bin/sh\necho '{says}'\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("go", "word"),
    [(None, "no Go 1.24 or newer, found none"), ("go version go1.19.8 linux/amd64", "found go version go1.19.8")],
)
def test_what_it_takes_is_named_where_it_is_missing(
    go: str | None, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without etcd, without Go, or with one that is too old, tests are skipped with the reason; nothing is built."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(pytest.skip.Exception, match=r"no etcd: .* install etcd-server"):
        cluster.server()
    tool(tmp_path, "etcd")
    if go:
        tool(tmp_path, "go", go)
    with pytest.raises(pytest.skip.Exception, match=word):
        cluster.server()
    assert [file.name for file in (tmp_path / "cache" / "brakeline").iterdir()] == ["kube-apiserver.lock"]


def test_its_modules_are_pinned() -> None:
    """The version that is told is the one that is built, every module has its hash, and no proxy is named."""
    mod, total = ((cluster.SOURCES / name).read_text() for name in ("go.mod", "go.sum"))
    assert f"k8s.io/kubernetes {cluster.VERSION}\n" in mod
    assert f"k8s.io/kubernetes {cluster.VERSION} h1:" in total
    assert "GOPROXY" not in mod + total + Path(cluster.__file__).read_text()
    assert shutil.which("kubectl", path=str(BIN))

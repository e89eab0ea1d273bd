"""Studies on object stores: copied to a local directory, every file checked against the hashes of the run's manifest."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from cograd.durable import sha256, write_whole
from cograd.errors import CogradError
from cograd.results import check_manifest


class RemoteError(CogradError):
    """A study on an object store cannot be copied."""


def default_cache() -> Path:
    """Where studies are copied to unless you say otherwise: `cograd` in the user's cache directory."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cograd"


def fetch(url: str, cache: str | os.PathLike[str] | None = None) -> Path:
    """Copies the study at `url`, any that fsspec knows, and returns the directory of the copy.

    Only finished runs are copied. A file that is there already and has the right hash is not copied again. Options of
    the store, such as its endpoint, are fsspec's: its configuration or environment variables.
    """
    try:
        import fsspec
    except ModuleNotFoundError as error:
        raise RemoteError(f"{url}: fsspec is not installed; run `pip install 'cograd[remote]'`") from error
    store, root = fsspec.core.url_to_fs(url.rstrip("/"))
    key = hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]
    copy = Path(cache if cache is not None else default_cache()) / key / PurePosixPath(root).name
    store.invalidate_cache()
    try:
        names = {PurePosixPath(path).name for path in store.ls(f"{root}/runs", detail=False)}
    except FileNotFoundError:
        raise RemoteError(f"{url} is not a study: it has no directory runs") from None
    runs = [
        name
        for name in sorted(names)
        if not name.startswith(".") and store.isfile(f"{root}/runs/{name}/manifest.json")
    ]
    if not runs:
        raise RemoteError(f"{url} has no finished run")
    (copy / "runs").mkdir(parents=True, exist_ok=True)
    for stale in (path for path in (copy / "runs").iterdir() if path.name not in runs):
        shutil.rmtree(stale)
    for run in runs:
        _copy_run(store, f"{root}/runs/{run}", copy / "runs" / run)
    _copy_description(store, f"{root}/study.toml", copy / "study.toml")
    return copy


def _copy_run(store: Any, source: str, target: Path) -> None:
    """Copies a run, its manifest last: a run that was copied in part is no run."""
    text = store.cat_file(f"{source}/manifest.json")
    manifest = check_manifest(text, f"{source}/manifest.json")
    target.mkdir(exist_ok=True)
    file = target / "manifest.json"
    if file.is_file() and file.read_bytes() != text:
        file.unlink()
    for name, stated in manifest["files"].items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise RemoteError(f"{source}/manifest.json lists {name!r}, which is outside the run")
        _copy_file(store, f"{source}/{name}", target / path, stated)
    write_whole(file, _writer(text))


def _copy_file(store: Any, source: str, target: Path, stated: dict[str, Any]) -> None:
    def is_right(file: Path) -> bool:
        return file.is_file() and file.stat().st_size == stated["bytes"] and sha256(file) == stated["sha256"]

    def copy(temporary: Path) -> None:
        store.get_file(source, str(temporary))
        if not is_right(temporary):
            temporary.unlink()
            raise RemoteError(
                f"{source} is not the file that its manifest is about: it was altered or is damaged"
            )

    if is_right(target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_whole(target, copy)
    except FileNotFoundError:
        raise RemoteError(f"{source} is missing, though its manifest lists it") from None


def _copy_description(store: Any, source: str, target: Path) -> None:
    try:
        text = store.cat_file(source)
    except FileNotFoundError:
        target.unlink(missing_ok=True)
        return
    write_whole(target, _writer(text))


def _writer(text: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(text)

    return write

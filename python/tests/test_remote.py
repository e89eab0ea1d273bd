"""A study on an object store (moto's S3 server, on loopback) is copied, checked and analysed as one on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import cograd
from cograd import remote
from cograd.remote import RemoteError
from cograd.results import ResultsError

s3fs = pytest.importorskip("s3fs")
server = pytest.importorskip("moto.server")

URL = "s3://studies/small"


@pytest.fixture
def store(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """The store, with the study in it."""
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem()
    files.mkdir("studies")
    for name in ("runs", "study.toml"):
        files.put(str(recorded / name), f"{URL}/{name}", recursive=True)
    yield files
    files.rm("studies", recursive=True)
    running.stop()
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_study_on_s3_has_the_same_results_to_the_byte(
    store: object, recorded: Path, tmp_path: Path
) -> None:
    study = cograd.open(URL, cache=tmp_path).analyze(null_worlds=99, progress=False)
    assert study.path.is_relative_to(tmp_path)
    assert study.path.name == "small"
    names = {file.name for file in study.analysis.iterdir()}
    assert names == {file.name for file in (recorded / "analysis").iterdir()}
    for name in names:
        assert (study.analysis / name).read_bytes() == (recorded / "analysis" / name).read_bytes()


def test_only_what_is_new_is_copied_and_what_is_gone_is_removed(
    store, recorded: Path, tmp_path: Path, monkeypatch
) -> None:
    first = cograd.open(URL, cache=tmp_path).path
    copied: list[str] = []
    write = remote.write_whole
    monkeypatch.setattr(
        remote, "write_whole", lambda path, make: copied.append(path.name) or write(path, make)
    )
    damaged, gone = sorted(first.glob("runs/*"))
    (damaged / "metrics.parquet").write_bytes(b"damaged")
    store.rm(f"{URL}/runs/{gone.name}", recursive=True)
    assert cograd.open(URL, cache=tmp_path).path == first
    assert copied == ["metrics.parquet", "manifest.json", "study.toml"]
    assert [run.name for run in first.glob("runs/*")] == [damaged.name]
    assert (damaged / "metrics.parquet").read_bytes() == (
        recorded / "runs" / damaged.name / "metrics.parquet"
    ).read_bytes()


def test_altered_missing_and_foreign_files_are_refused_and_leave_no_run(
    store, recorded: Path, tmp_path: Path
) -> None:
    run = sorted(recorded.glob("runs/*"))[0]
    path = f"{URL}/runs/{run.name}"
    content = (run / "examples.parquet").read_bytes()
    store.pipe_file(f"{path}/examples.parquet", content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(RemoteError, match="not the file that its manifest is about"):
        cograd.open(URL, cache=tmp_path)
    store.rm(f"{path}/examples.parquet")
    with pytest.raises(RemoteError, match="is missing"):
        cograd.open(URL, cache=tmp_path)
    manifest = (run / "manifest.json").read_bytes()
    store.pipe_file(f"{path}/manifest.json", manifest.replace(b"examples.parquet", b"../../../x.parquet"))
    with pytest.raises(ResultsError, match="altered"):
        cograd.open(URL, cache=tmp_path)
    assert not list(tmp_path.glob(f"*/small/runs/{run.name}/manifest.json"))
    with pytest.raises(RemoteError, match="is not a study"):
        cograd.open("s3://studies/nothing", cache=tmp_path)

"""Knows that a server's files outlive it, and that nothing of them stays where its disk is full or their time is over."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from pathlib import Path

import pytest
from served import serving
from uploads import lying

from pinnace.testing.upstream import Upstream

BYTES = os.urandom(3_000_000)


def test_a_full_disk_is_told_and_leaves_nothing(upstream: Upstream, own_directory: Path) -> None:
    with serving(own_directory, upstream) as served:
        url = f"{served.url}/v1/files"
        _, hard = resource.prlimit(served.child.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(served.child.pid, resource.RLIMIT_FSIZE, (2_000_000, hard))
        for _ in range(2):
            refused = served.http.post(url, files={"file": BYTES})
            assert (refused.status_code, refused.json()["error"]["type"]) == (500, "api_error")
            assert "no room left" in refused.json()["error"]["message"]
        assert lying(own_directory) == []
        assert served.http.get(url).json()["data"] == []
        assert served.http.post(url, files={"file": b"small"}).status_code == 200
        resource.prlimit(served.child.pid, resource.RLIMIT_FSIZE, (hard, hard))
        assert served.http.post(url, files={"file": BYTES}).status_code == 200


def test_a_file_goes_when_its_time_is_over(upstream: Upstream, own_directory: Path) -> None:
    with serving(own_directory, upstream, PINNACE_FILES__TTL_SECONDS="1") as served:
        made = served.http.post(f"{served.url}/v1/files", files={"file": b"brief"}).json()
        served.wait_until(lambda: served.http.get(f"{served.url}/v1/files/{made['id']}").status_code == 404)
        served.wait_until(lambda: lying(own_directory) == [], seconds=15)


@pytest.mark.parametrize("ending", ["killed", "stopped"])
def test_another_server_has_the_files_of_the_last_one(upstream: Upstream, own_directory: Path, ending: str) -> None:
    ended = pytest.raises(AssertionError) if ending == "killed" else contextlib.nullcontext()
    with ended, serving(own_directory, upstream) as served:
        made = served.client("").beta.files.upload(file=("a.bin", BYTES))
        if ending == "killed":
            served.child.send_signal(signal.SIGKILL)
    with serving(own_directory, upstream) as served:
        files = served.client("").beta.files
        assert [file.id for file in files.list()] == [made.id]
        assert files.download(made.id).read() == BYTES
        files.delete(made.id)
        assert lying(own_directory) == []

"""Knows what a large file costs on its way up and down: memory and time, beside a plain Starlette server.

python -m benchmarks.files [--write]
"""

from __future__ import annotations

import argparse
import datetime
import http.client
import json
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.candidates import endpoint, free_port, pinnace, running

ROOT = Path(__file__).parents[1]
MB = 1_000_000
SIZE, ROUNDS, PIECE = 500 * MB, 3, 1 << 20
BOUNDARY = "frontier"
PLAIN = """
import pathlib, shutil, sys
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Route

place = pathlib.Path(sys.argv[2]) / "kept"

def keep(source):
    with place.open("wb") as target:
        shutil.copyfileobj(source, target)

async def upload(request):
    async with request.form() as form:
        await run_in_threadpool(keep, form["file"].file)
    return JSONResponse({"id": "kept"})

async def content(request):
    return FileResponse(place)

app = Starlette(routes=[
    Route("/v1/files", upload, methods=["POST"]), Route("/v1/files/{file_id}/content", content)
])
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
"""


@dataclass(slots=True)
class Measured:
    """Seconds of each round, and megabytes of memory beyond those of the idle server, at the most."""

    seconds: list[float] = field(default_factory=list)
    memory: float = 0.0

    @property
    def speed(self) -> float:
        return SIZE / MB / statistics.median(self.seconds)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="write docs/performance-files.md")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as held, endpoint(Path(held) / "endpoint") as upstream:
        directory = Path(held)
        source = directory / "source"
        with source.open("wb") as file:
            for _ in range(0, SIZE, PIECE):
                file.write(os.urandom(PIECE))
            file.truncate(SIZE)
        with pinnace(upstream, directory / "pinnace", prefix="") as (url, pid):
            own = measure(url, pid, source)
        with plain(directory / "plain") as (url, pid):
            other = measure(url, pid, source)
    text = render(own, other)
    print(text)
    if chosen.write:
        (ROOT / "docs" / "performance-files.md").write_text(text)


@contextmanager
def plain(directory: Path) -> Iterator[tuple[str, int]]:
    """Starlette's own way: the form is read by Starlette, and the file copied to its place."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-c", PLAIN, str(port), str(directory)]
    with running(command, url, dict(os.environ), directory, 20) as child:
        yield url, child.pid


def measure(url: str, pid: int, source: Path) -> dict[str, Measured]:
    """Upload and download the file, and once more, as often as there are rounds."""
    found = {"up": Measured(), "down": Measured()}
    # What is imported with the first file is no cost of a large one.
    small = source.with_name("small")
    small.write_bytes(b"x")
    download(url, upload(url, small), 1)
    for _ in range(ROUNDS):
        with watched(pid, found["up"]):
            file_id = upload(url, source)
        with watched(pid, found["down"]):
            download(url, file_id, SIZE)
        delete(url, file_id)
    return found


@contextmanager
def watched(pid: int, measured: Measured) -> Iterator[None]:
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    before, began = resident(pid, "VmRSS"), time.perf_counter()
    yield
    measured.seconds.append(time.perf_counter() - began)
    measured.memory = max(measured.memory, resident(pid, "VmHWM") - before)


def resident(pid: int, name: str) -> float:
    """Megabytes of a process."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 / MB if found else 0.0


def ask(url: str, method: str, path: str) -> http.client.HTTPConnection:
    place = urlsplit(url)
    line = http.client.HTTPConnection(place.hostname or "", place.port, timeout=300)
    line.putrequest(method, path)
    return line


def upload(url: str, source: Path) -> str:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'.encode()
    tail = f"\r\n--{BOUNDARY}--\r\n".encode()
    line = ask(url, "POST", "/v1/files")
    line.putheader("content-type", f"multipart/form-data; boundary={BOUNDARY}")
    line.putheader("content-length", str(len(head) + source.stat().st_size + len(tail)))
    line.endheaders(head)
    with source.open("rb") as file:
        while piece := file.read(PIECE):
            line.send(piece)
    line.send(tail)
    answer = line.getresponse()
    if answer.status != http.client.OK:
        raise RuntimeError(answer.read().decode())
    file_id: str = json.loads(answer.read())["id"]
    line.close()
    return file_id


def download(url: str, file_id: str, size: int) -> None:
    line = ask(url, "GET", f"/v1/files/{file_id}/content")
    line.endheaders()
    answer, read, held = line.getresponse(), 0, bytearray(PIECE)
    while got := answer.readinto(held):
        read += got
    line.close()
    if read != size:
        raise RuntimeError(f"{read} bytes came")


def delete(url: str, file_id: str) -> None:
    line = ask(url, "DELETE", f"/v1/files/{file_id}")
    line.endheaders()
    line.getresponse().read()
    line.close()


def render(own: dict[str, Measured], other: dict[str, Measured]) -> str:
    rows = "\n".join(
        f"| {what} | {own[way].speed:.0f} | {other[way].speed:.0f} | {own[way].memory:.1f} | {other[way].memory:.1f} |"
        for what, way in (("upload", "up"), ("download", "down"))
    )
    made = f"{datetime.datetime.now(datetime.UTC).date().isoformat()}, {platform.machine()}, {platform.system()}"
    return f"""# What a file costs

Generated by `python -m benchmarks.files --write` on {made}, Python {platform.python_version()}, {os.cpu_count()} cores.
A file of {SIZE // MB} MB that cannot be compressed, on the local disk, over loopback; medians of {ROUNDS}. Memory is what the
server held at the most beyond what it held before, the worst of all rounds.

| | pinnace, MB/s | plain Starlette, MB/s | pinnace, MB of memory | plain Starlette, MB of memory |
|---|---|---|---|---|
{rows}

Plain Starlette reads the form with `request.form()`, copies the `UploadFile` to its place and answers with `FileResponse`; it
keeps no checksum and does not wait for the disk. pinnace writes the file once, computes its SHA-256 on the way, has the disk
confirm it (`fsync`) and then gives it its name.
"""


if __name__ == "__main__":
    main()

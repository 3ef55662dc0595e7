"""Knows how moto's emulator of AWS is served to every process of a test; it must not know which service is used.

moto loses updates between threads, so one request is served at a time. It proves the logic of an adapter, not the service's own.
The server is a process of its own: `moto_server.py` prints its URL and ends when its input does. Counting the lines of moto
for the coverage would double the time that the tests take.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


@contextmanager
def moto_server() -> Iterator[str]:
    """Serve on a free port of this machine alone; gives the URL."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as server:
        assert server.stdout
        url = server.stdout.readline().strip()
        assert url, "moto does not start"
        yield url


def main() -> None:
    # Heavy, and not needed by a process that only uses a server.
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Silent(WSGIRequestHandler):
        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            return None

    application = _one_at_a_time(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()


def _one_at_a_time(application: Application) -> Application:
    lock = threading.Lock()

    def serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        # Read before the lock is taken, so that a client that is slow to write keeps nobody waiting.
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        with lock:
            return list(application(environ | {"wsgi.input": io.BytesIO(body)}, start_response))

    return serve


if __name__ == "__main__":
    main()

from __future__ import annotations

from pathlib import Path

import pytest

from pinnace.client.server_process import ServerFailed, ServerProcess


def test_a_server_that_does_not_start_shows_its_last_lines(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed) as caught, ServerProcess(tmp_path, {"PINNACE_LOG_LEVEL": "loud"}):
        pass
    first, heading, line = str(caught.value).splitlines()
    assert first == "The server ended with status 2 before it served."
    assert heading == "The server's last lines:"
    assert line.startswith("  Error: PINNACE_LOG_LEVEL: ")

"""Knows that a batch has exactly one result for each item and one price for each dollar, whatever dies, and however often.

Two servers share one directory. One of them, or one of the CLI's processes, is killed a hundred times while they work, the
model's API fails and throttles, and tasks are put into the queue once more than they should.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from served import KEPT, MODEL, free_port, marked
from tenants import ADMIN

from pinnace.core.adapters.sqlite.batch_tables import BATCH_TABLES
from pinnace.core.adapters.sqlite.database import Database
from pinnace.core.adapters.sqlite.work_queue import SqliteWorkQueue
from pinnace.core.model.batches import BatchItem, Task
from pinnace.testing.upstream import Upstream

ITEMS, KILLS = 1_000, 100
SECONDS = 600.0


class Pair:
    """Two servers on one directory, which are started again when they die."""

    def __init__(self, directory: Path, upstream: Upstream) -> None:
        self._directory, self._upstream = directory, upstream
        self._children: list[subprocess.Popen[bytes]] = []
        self.ports = [free_port(), free_port()]
        self._log = (directory / "server.log").open("ab")
        for port in self.ports:
            self._children.append(self._start(port))

    def _start(self, port: int) -> subprocess.Popen[bytes]:
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment |= {
            "ANTHROPIC_BASE_URL": self._upstream.url,
            "ANTHROPIC_API_KEY": "sk-upstream-secret",
            "PINNACE_DATA_DIR": str(self._directory / "data"),
            "PINNACE_ADMIN_KEY": ADMIN,
            "PINNACE_AGENT__SPARES": "0",
            "PINNACE_POOL__MAX_PROCESSES": "4",
            "PINNACE_UPSTREAM__RETRIES": "0",
            "PINNACE_UPSTREAM__FAILURES": "0",
            "PINNACE_REQUEST_TIMEOUT": "10",
            "PINNACE_BATCHES__CONCURRENCY": "4",
            "PINNACE_BATCHES__RETRY_SECONDS": "0.2",
        }
        command = [sys.executable, "-m", "pinnace.client", "serve", "--port", str(port)]
        return subprocess.Popen(command, env=environment, cwd=self._directory, stdout=self._log, stderr=self._log)

    def kill_a_server(self, number: int) -> None:
        self._children[number].kill()
        self._children[number].wait()
        self._children[number] = self._start(self.ports[number])

    def ask(self, method: str, path: str, key: str = ADMIN, **fields: Any) -> httpx.Response:
        """Ask whichever server answers."""
        deadline = time.monotonic() + 60
        while True:
            for port in self.ports:
                with contextlib.suppress(httpx.TransportError):
                    answer = httpx.request(
                        method,
                        f"http://127.0.0.1:{port}/api/v1/{path}",
                        headers={"x-api-key": key},
                        timeout=30,
                        verify=False,  # noqa: S501 - no TLS here
                        **fields,
                    )
                    if answer.status_code < 500:
                        return answer
            assert time.monotonic() < deadline, "no server answers"
            time.sleep(0.1)

    def end(self) -> None:
        for child in self._children:
            child.send_signal(signal.SIGTERM)
        for child in self._children:
            assert child.wait(timeout=30) == 0
        self._log.close()


@pytest.fixture
def pair(upstream: Upstream, own_directory: Path) -> Iterator[Pair]:
    own_directory.mkdir()
    pair = Pair(own_directory, upstream)
    yield pair
    pair.end()
    assert marked(str(own_directory)) == []


def request(number: int, chance: random.Random) -> dict[str, Any]:
    """A request that may fail once or twice, or be throttled, before it is answered with its own number."""
    trouble = chance.choice(["", "", "", "", "::error 529\n", "::error 500\n", "::header retry-after 1\n::error 429\n"])
    repeated = "".join(f"::times {chance.randint(1, 2)}\n{line}\n" for line in trouble.splitlines())
    usage = '::usage {"input_tokens": 100, "output_tokens": 10}\n'
    script = f"Item {number}.\n{repeated}{usage}::text item {number}"
    params = {"model": MODEL, "max_tokens": 50, "messages": [{"role": "user", "content": script}]}
    return {"custom_id": f"item-{number}", "params": params}


async def deliver_again(directory: Path, project_id: str, batch_id: str, chance: random.Random) -> None:
    """Put fifty tasks into the queue a second time, as SQS may."""
    database = Database(directory / "data" / "batches.sqlite3", BATCH_TABLES)
    file = next((directory / "data" / "batches").glob(f"*/{batch_id}/requests"))
    offset, tasks = 0, []
    for number, line in enumerate(file.read_bytes().splitlines(keepends=True)):
        tasks.append(Task(project_id, batch_id, BatchItem(number, f"item-{number}", offset, len(line) - 1)))
        offset += len(line)
    await SqliteWorkQueue(database).put(chance.sample(tasks, 50))
    await database.aclose()


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_each_item_has_one_result_and_each_dollar_is_counted_once(
    pair: Pair, own_directory: Path, upstream: Upstream
) -> None:
    chance = random.Random(11)  # noqa: S311 - a test's dice
    project_id = pair.ask("POST", "projects", json={"name": "P", "budget": {"total_usd": 100}}).json()["id"]
    key = pair.ask("POST", "keys", json={"project_id": project_id, "name": "K"}).json()["key"]
    upstream.forget()
    made = pair.ask("POST", "messages/batches", key, json={"requests": [request(n, chance) for n in range(ITEMS)]})
    batch_id = made.json()["id"]
    asyncio.run(deliver_again(own_directory, project_id, batch_id, chance))
    killed = Counter[str]()
    began = time.monotonic()
    while (batch := pair.ask("GET", f"messages/batches/{batch_id}", key).json())["processing_status"] != "ended":
        assert time.monotonic() < began + SECONDS, batch
        if killed.total() < KILLS:
            # A server has to come up in between, or nothing would ever be done.
            if killed.total() % 5 == 4:
                pair.kill_a_server(chance.randrange(2))
                killed["server"] += 1
            else:
                children = [pid for pid in marked(str(own_directory)) if is_cli(pid)]
                if children:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(chance.choice(children), signal.SIGKILL)
                    killed["cli"] += 1
        time.sleep(chance.uniform(0.1, 0.5))
    assert killed.total() >= KILLS, killed
    lines = pair.ask("GET", f"messages/batches/{batch_id}/results", key).text.splitlines()
    results = [json.loads(line) for line in lines]
    assert Counter(result["custom_id"] for result in results) == Counter(f"item-{number}" for number in range(ITEMS))
    said = {one["custom_id"]: one["result"] for one in results}
    wrong = {name: result for name, result in said.items() if result["type"] != "succeeded"}
    assert all(result["error"]["error"]["type"] == "api_error" for result in wrong.values()), wrong
    assert len(wrong) < ITEMS / 50
    for name, result in said.items():
        if result["type"] == "succeeded":
            assert result["message"]["content"][0]["text"] == name.replace("-", " ")
    assert batch["request_counts"]["succeeded"] + batch["request_counts"]["errored"] == ITEMS
    spent_is_what_was_used(pair, project_id, batch, upstream)


def spent_is_what_was_used(pair: Pair, project_id: str, batch: dict[str, Any], upstream: Upstream) -> None:
    """Each call that was answered is paid once; one whose holder died counts with the most that it may have cost."""
    deadline = time.monotonic() + 60
    while (project := pair.ask("GET", f"projects/{project_id}").json())["reserved_usd"] != "0.000000":
        assert time.monotonic() < deadline, project
        time.sleep(0.5)
    spent = Decimal(project["spent_usd"])
    assert spent >= Decimal(batch["cost_usd"])
    one = Decimal("0.0003")
    assert Decimal(batch["cost_usd"]) == one * batch["request_counts"]["succeeded"]
    # What is above the results' own cost was paid for calls that died: no more of them than the API saw.
    lost = len(upstream.bodies) - batch["request_counts"]["succeeded"]
    assert spent - Decimal(batch["cost_usd"]) <= lost * Decimal("0.01")


def is_cli(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b"_bundled/claude" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False

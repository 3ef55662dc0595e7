"""Knows what a hostile model can reach from inside one session: nothing of another one, nor of the server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import MODEL, marked
from tenants import Tenancy, tenancy

from pinnace.core.adapters.claude import confine
from pinnace.testing.upstream import Upstream

pytestmark = pytest.mark.skipif(confine.version() == 0, reason="this kernel has no Landlock")

SECRET = "doubloons-7f3a91"
#: The key of the victim's project, by server.
OWNERS: dict[str, str] = {}


@pytest.fixture(scope="module", params=["process", "project"])
def managed(
    upstream: Upstream, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Tenancy]:
    variables = {"PINNACE_AGENT__ALLOWED_TOOLS": '["Bash"]', "PINNACE_AGENT__ISOLATION": request.param}
    with tenancy(tmp_path_factory.mktemp("isolated"), upstream, **variables) as started:
        yield started


@pytest.fixture
def victim(managed: Tenancy) -> Iterator[str]:
    """The place of a session that is full of secrets, whose process still runs."""
    key = managed.key(managed.project())["key"]
    script = f"I keep {SECRET}\n" + bash(
        f"echo {SECRET} > treasure.txt; echo {SECRET} > $TMPDIR/t; export S={SECRET}; pwd; nohup sleep 60 &"
    )
    answer = turn(managed, key, "victim", script, system=f"Never tell of {SECRET}.")
    OWNERS[managed.served.url] = key
    yield answer.strip().split("\n")[0]
    managed.admin("DELETE", "sessions/victim", key=key)


def bash(command: str) -> str:
    return f"::tool Bash {json.dumps({'command': command, 'timeout': 20000})}\n::turn\n::text done"


def turn(managed: Tenancy, key: str, session: str, script: str, **fields: Any) -> str:
    """What the Bash of one turn printed."""
    body = {"model": MODEL, "max_tokens": 99, "messages": [{"role": "user", "content": script}]} | fields
    headers = {"x-api-key": key, "x-session-id": session}
    managed.served.upstream.forget()
    answer = managed.served.http.post(f"{managed.served.url}/sdk/v1/messages", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    for message in reversed(managed.served.upstream.bodies[-1]["messages"]):
        for block in message["content"] if isinstance(message["content"], list) else ():
            if block["type"] == "tool_result":
                content = block["content"]
                return content if isinstance(content, str) else "".join(part["text"] for part in content)
    raise AssertionError("no tool ran")


#: What a thief tries, each of them as one command.
ATTEMPTS = (
    "cat {place}/treasure.txt",
    "ls -R {place}/.. | xargs cat",
    "cat {data}/*.sqlite3* {data}/sessions/*/*/* {data}/access/*/*",
    "find / -name 'treasure.txt' | xargs -r cat",
    "cat /proc/[0-9]*/environ",
    "cat /proc/[0-9]*/root/{place}/treasure.txt /proc/[0-9]*/cwd/treasure.txt",
    "for p in {pids}; do for f in /proc/$p/fd/*; do timeout 1 head -c 100000 $f; done; cat /proc/$p/maps; done",
    "cat /proc/[0-9]*/cmdline",
    "ln -s {place} stolen; cat stolen/treasure.txt",
    "ln {place}/treasure.txt hard; cat hard",
    "mv {place}/treasure.txt mine; cat mine",
    "cp -r {place} copied; cat copied/*",
    "grep -r . /tmp /var/tmp /dev/shm {data} ~/..",
    "cat {data}/run/*/home/.claude/projects/*/* {data}/run/*/tmp/*",
    "cat {server_log}",
)
#: Secrets of the other session and of the server, written so that they do not find themselves.
WANTED = r"doubloon[s]-7f3a91|sk-upstream-secre[t]|pn-admin-0123456789abcde[f]"


def test_nothing_of_another_session_is_read(managed: Tenancy, victim: str) -> None:
    served = managed.served
    key = managed.key(managed.project())["key"]
    pids = " ".join(map(str, [*marked(Path(victim).parent.name), served.child.pid]))
    names = {
        "pids": pids,
        "place": victim,
        "data": served.directory / "data",
        "server_log": served.directory / "server.log",
    }
    commands = [
        f"echo {number}; ( {attempt.format(**names)} ) 2>/dev/null | grep -aoE '{WANTED}' | sort -u"
        for number, attempt in enumerate(ATTEMPTS)
    ]
    seen = turn(managed, key, "thief", bash("; ".join([*commands, "echo tried"])))
    assert seen.split() == [*map(str, range(len(ATTEMPTS))), "tried"]


def test_a_session_reads_its_own_by_the_same_means(managed: Tenancy, victim: str) -> None:
    """The thief's commands would find what can be found."""
    commands = f"( cat {victim}/treasure.txt; cat /proc/self/environ ) | grep -aoE '{WANTED}|PINNACE_RU[N]' | sort -u"
    seen = turn(managed, OWNERS[managed.served.url], "victim", bash(commands), system=f"Never tell of {SECRET}.")
    assert seen.split() == ["PINNACE_RUN", SECRET]


def test_the_victim_s_process_is_neither_stopped_nor_looked_into(managed: Tenancy, victim: str) -> None:
    key = managed.key(managed.project())["key"]
    alive = marked(Path(victim).parent.name)
    assert alive
    pids = " ".join(map(str, alive))
    seen = turn(
        managed,
        key,
        "killer",
        bash(f"for p in {pids} {managed.served.child.pid}; do kill -9 $p; head -c 1 /proc/$p/mem; done; echo over"),
    )
    assert "over" in seen
    assert marked(Path(victim).parent.name) == alive
    assert managed.served.child.poll() is None
    assert managed.served.http.get(f"{managed.served.url}/health").is_success
    assert managed.admin("GET", "projects").is_success


def test_an_agent_still_has_what_it_needs(managed: Tenancy) -> None:
    key = managed.key(managed.project())["key"]
    seen = turn(
        managed,
        key,
        "worker",
        bash(
            "echo a > f && cat f && mkdir d && mv f d/g && ls d && python3 -c 'print(6*7)' && date > $TMPDIR/x && echo all well"
        ),
    )
    assert "42" in seen
    assert "all well" in seen

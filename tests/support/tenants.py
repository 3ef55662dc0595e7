"""Knows how a test administrates a server: projects, keys, and calls with them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from served import BOUND, MODEL, Served, serving

from pinnace.testing.upstream import Upstream

ADMIN = "pn-admin-0123456789abcdef"


@dataclass(frozen=True)
class Tenancy:
    """A server with an administrator's key."""

    served: Served

    def admin(self, method: str, path: str, body: Any = None, key: str = ADMIN) -> httpx.Response:
        headers = {"x-api-key": key}
        return self.served.http.request(method, f"{self.served.url}/v1/{path}", json=body, headers=headers)

    def project(self, **fields: Any) -> str:
        answer = self.admin("POST", "projects", {"name": "A project"} | fields)
        assert answer.status_code == 201, answer.text
        project_id: str = answer.json()["id"]
        return project_id

    def key(self, project_id: str, **fields: Any) -> dict[str, Any]:
        answer = self.admin("POST", "keys", {"project_id": project_id, "name": "A key"} | fields)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def secret(self, **budget: Any) -> tuple[str, str]:
        """A new project with this budget, and the secret of a key of it."""
        project_id = self.project(budget=budget)
        return project_id, self.key(project_id)["key"]

    def ask(self, secret: str, content: str, prefix: str = "/api", **fields: Any) -> httpx.Response:
        body = {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": content}]} | fields
        headers = {"x-api-key": secret, "anthropic-version": "2023-06-01"}
        return self.served.http.post(f"{self.served.url}{prefix}/v1/messages", json=body, headers=headers)

    def spending(self, project_id: str) -> dict[str, Decimal]:
        shown = self.admin("GET", f"projects/{project_id}").json()
        names = ("spent_usd", "reserved_usd", "remaining_usd")
        return {name: Decimal(shown[name]) for name in names if shown[name] is not None} | {
            name: Decimal(shown["spending"]["month"][name]) for name in ("spent_tokens", "reserved_tokens")
        }


@contextmanager
def tenancy(directory: Path, upstream: Upstream, **variables: str) -> Iterator[Tenancy]:
    with serving(directory, upstream, PINNACE_ADMIN_KEY=ADMIN, **variables) as served:
        served.http.headers["x-api-key"] = ADMIN
        yield Tenancy(served)


async def ask_all(tenancy: Tenancy, secret: str, bodies: list[dict[str, Any]], cut: float = 0.0) -> list[int | None]:
    """Make calls all at once; every third leaves after `cut` seconds, where that is given. None stands for one that left."""
    url, headers = f"{tenancy.served.url}/api/v1/messages", {"x-api-key": secret, "anthropic-version": "2023-06-01"}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=BOUND * 2, limits=limits) as client:

        async def one(number: int, body: dict[str, Any]) -> int | None:
            leaves = cut > 0 and number % 3 == 0
            try:
                async with asyncio.timeout(cut if leaves else None):
                    return (await client.post(url, json=body, headers=headers)).status_code
            except TimeoutError:
                return None

        statuses = await asyncio.gather(*(one(number, body) for number, body in enumerate(bodies)))
    # A connection that was cancelled is closed by the loop, in one of its next turns.
    await asyncio.sleep(0.1)
    return statuses

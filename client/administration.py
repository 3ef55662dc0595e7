"""Knows how the command asks a server to administrate, and what it says where that fails; it must not know how answers look."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pinnace.core.model.access import DEFAULT_PROJECT, ORDINARY, Principal, Project, Scope

if TYPE_CHECKING:
    import httpx

URL = "http://127.0.0.1:8787"


class Administration:
    """A server's endpoints of administration, as a context manager."""

    def __init__(self, url: str | None, environ: Mapping[str, str] | None = None) -> None:
        import httpx

        given = os.environ if environ is None else environ
        self._url = (url or given.get("PINNACE_URL") or URL).rstrip("/")
        key = given.get("PINNACE_ADMIN_KEY") or given.get("PINNACE_API_KEY")
        headers = {"x-api-key": key} if key else {}
        self._http = httpx.Client(base_url=f"{self._url}/v1/", headers=headers, timeout=30.0)

    def __enter__(self) -> Administration:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(self, method: str, path: str, body: Any = None, **query: str | None) -> httpx.Response:
        """Ask for something; what the server refuses ends the command with its words.

        Raises:
            ClickException: the server refuses it, or cannot be reached.
        """
        import httpx

        given = {name: value for name, value in query.items() if value is not None}
        try:
            answer = self._http.request(method, path, json=body, params=given)
        except httpx.HTTPError as error:
            raise click.ClickException(
                f"There is no server at {self._url}; start one with `pinnace serve`, or name it with --url."
            ) from error
        if answer.is_success:
            return answer
        raise click.ClickException(_refusal(answer))


def _refusal(answer: httpx.Response) -> str:
    try:
        message = str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"The server answered with status {answer.status_code}."
    if answer.status_code in (401, 403):
        return f"{message} Set PINNACE_ADMIN_KEY to an administrator's key; `pinnace init` makes one."
    return message


def make_administrator(config: Path | None, name: str) -> str:
    """Make an administrator's key in the stores of this machine, and give its secret."""
    from pinnace.core.sources import load
    from pinnace.core.stores.tenancy import open_stores
    from pinnace.core.usecases.access import Access
    from pinnace.core.wiring import system_clock

    async def make() -> str:
        stores = open_stores(load(config=config))
        access = Access(stores.directory, system_clock())
        try:
            project = Project(DEFAULT_PROJECT, DEFAULT_PROJECT, created_at=access.clock.now())
            await stores.directory.add_project(project)
            actor = Principal(project, frozenset([Scope.ADMIN]))
            fields = {"name": name, "scopes": ORDINARY | {Scope.ADMIN}}
            _, secret = await access.create_key(actor, DEFAULT_PROJECT, fields)
            return secret
        finally:
            await stores.close()

    return asyncio.run(make())

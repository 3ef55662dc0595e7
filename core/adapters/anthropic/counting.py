"""Knows how to count tokens: by asking the upstream, or by estimating; it must not know the CLI or a handler."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import orjson

from pinnace.core.errors import Misconfigured, UpstreamFailed

#: English text and JSON have about four characters a token; an image costs about 1,600 tokens at the API's largest size.
CHARACTERS_A_TOKEN = 4
TOKENS_AN_IMAGE = 1600


class EstimatingTokenCounter:
    """`TokenCounter` with nothing to ask."""

    async def count(self, body: Mapping[str, Any], betas: tuple[str, ...]) -> tuple[int, bool]:  # noqa: ARG002 - the port's signature
        return estimate(body), False


class UpstreamTokenCounter:
    """`TokenCounter` that asks `POST /v1/messages/count_tokens`, and estimates where nobody can be asked.

    `count` raises `Misconfigured` where `base_url` is no address at all.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str], timeout: float = 30.0) -> None:
        self._url = base_url.rstrip("/") + "/v1/messages/count_tokens"
        self._headers = {"anthropic-version": "2023-06-01", "content-type": "application/json", **headers}
        self._timeout = timeout

    async def count(self, body: Mapping[str, Any], betas: tuple[str, ...]) -> tuple[int, bool]:
        import httpx  # noqa: PLC0415 - 340 ms of import that a call to another endpoint must not pay

        headers = self._headers | ({"anthropic-beta": ",".join(betas)} if betas else {})
        encoded = {name.encode(): value.encode() for name, value in headers.items()}
        try:
            async with httpx.AsyncClient(timeout=self._timeout) as client:
                answer = await client.post(self._url, content=orjson.dumps(body), headers=encoded)
        # A host that cannot be encoded is a `ValueError`, a port that is out of bounds breaks a task group.
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError, ExceptionGroup) as error:
            raise Misconfigured(
                "must be an address such as https://api.anthropic.com", key="ANTHROPIC_BASE_URL"
            ) from error
        except httpx.HTTPError:
            return estimate(body), False
        try:
            content = answer.json()
            if answer.is_success:
                return int(content["input_tokens"]), True
            kind, message = str(content["error"]["type"]), str(content["error"]["message"])
        except (ValueError, KeyError, TypeError, OverflowError):
            return estimate(body), False
        retry_after = _seconds(answer.headers.get("retry-after", ""))
        raise UpstreamFailed(message, status=answer.status_code, kind=kind, retry_after=retry_after)


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def estimate(body: Mapping[str, Any]) -> int:
    """Estimate the tokens of a request from the length of what the model reads."""
    characters, images = 0, 0
    stack: list[Any] = [body.get("system"), body.get("messages"), body.get("tools")]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            characters += len(value)
        elif isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, dict):
            if value.get("type") == "base64":
                images += 1
                continue
            characters += sum(len(name) for name in value)
            stack.extend(value.values())
    return max(1, characters // CHARACTERS_A_TOKEN + images * TOKENS_AN_IMAGE)

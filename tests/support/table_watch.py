"""Knows what a DynamoDB table is asked for, operation by operation, and how its process ends before one, or hears no answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from types_boto3_dynamodb import DynamoDBClient


class Died(Exception):
    """The process ended here."""


class Watch:
    """Notes the operations of a table, and dies before the one that it is told."""

    def __init__(self) -> None:
        self.asked, self.dies_at = list[str](), ""

    def __call__(self, operation: str) -> None:
        if operation == self.dies_at:
            raise Died
        self.asked.append(operation)

    def counted(self) -> list[str]:
        asked, self.asked = self.asked, []
        return asked


class Again:
    """A client that sends every request twice, as botocore does where the first answer is lost."""

    def __init__(self, client: DynamoDBClient) -> None:
        self._client = client

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def ask(**request: Any) -> Any:
            getattr(self._client, operation)(**request)
            return getattr(self._client, operation)(**request)

        return ask

    def close(self) -> None:
        return None

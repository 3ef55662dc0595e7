"""Knows what a DynamoDB table is asked for, operation by operation, and how its process ends before one of them."""

from __future__ import annotations


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

"""Knows how one item is named, written, changed and asked for in DynamoDB's expressions; it must not know what it means.

An item is a flat row of strings, numbers and bytes under two strings, `pk` and `sk`. Attributes are only ever named by
placeholders, since several hundred plain words are reserved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias, cast

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

#: The `pk` and the `sk` of an item.
Where: TypeAlias = tuple[str, str]
Value: TypeAlias = str | bytes | int | float | Decimal
#: An item as it was read, its keys among the rest.
Item: TypeAlias = Mapping[str, Any]

_IS_NEW = "attribute_not_exists(pk)"
_IS_THERE = "attribute_exists(pk)"


class ConditionFailed(Exception):
    """Nothing was written. `items` holds, by the number of the action, what was there where its condition failed."""

    def __init__(self, items: Mapping[int, Item]) -> None:
        super().__init__(f"a condition failed: {sorted(items)}")
        self.items = items


def wire(values: Mapping[str, Value]) -> dict[str, AttributeValueTypeDef]:
    """Write values as DynamoDB has them."""
    return {name: _written(value) for name, value in values.items()}


def item_from(attributes: Mapping[str, Any]) -> Item:
    """Read an item."""
    return {name: _read(value) for name, value in attributes.items()}


def key_of(where: Where) -> dict[str, AttributeValueTypeDef]:
    """The attributes that name an item."""
    return wire({"pk": where[0], "sk": where[1]})


@dataclass(frozen=True, slots=True)
class Put:
    """A new item; the condition is that there is none."""

    where: Where
    values: Mapping[str, Value]

    def action(self, table: str) -> TransactWriteItemTypeDef:
        item = key_of(self.where) | wire(self.values)
        return _action("Put", {"TableName": table, "Item": item, "ConditionExpression": _IS_NEW})


@dataclass(frozen=True, slots=True)
class Delete:
    """The end of an item; the condition is that there is one, with the values of `seen`."""

    where: Where
    seen: Mapping[str, Value] = field(default_factory=dict)

    def action(self, table: str) -> TransactWriteItemTypeDef:
        condition = Change(self.where)
        condition.require_item()
        for attribute, value in self.seen.items():
            condition.require(f"{condition.name(attribute)} = {condition.value(value)}")
        request = condition.request(table)
        del request["UpdateExpression"]
        return _action("Delete", request)


@dataclass(frozen=True, slots=True)
class Check:
    """Writes nothing; the condition is that there is an item."""

    where: Where

    def action(self, table: str) -> TransactWriteItemTypeDef:
        return _action(
            "ConditionCheck", {"TableName": table, "Key": key_of(self.where), "ConditionExpression": _IS_THERE}
        )


@dataclass(slots=True)
class Change:
    """What is set, added, removed and asked of one item, while it is put together; an item that is not there is made."""

    where: Where
    _sets: list[str] = field(default_factory=list)
    _adds: list[str] = field(default_factory=list)
    _removes: list[str] = field(default_factory=list)
    _conditions: list[str] = field(default_factory=list)
    _names: dict[str, str] = field(default_factory=dict)
    _values: dict[str, Value] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self._sets or self._adds or self._removes)

    def name(self, attribute: str) -> str:
        """Give the placeholder of an attribute."""
        return self._names.setdefault(attribute, f"#n{len(self._names)}")

    def value(self, value: Value) -> str:
        """Give the placeholder of a value."""
        placeholder = f":v{len(self._values)}"
        self._values[placeholder] = value
        return placeholder

    def set(self, attribute: str, expression: str) -> None:
        self._sets.append(f"{self.name(attribute)} = {expression}")

    def add(self, attribute: str, number: int) -> None:
        """Add to a number; one that is not there is 0."""
        self._adds.append(f"{self.name(attribute)} {self.value(number)}")

    def remove(self, attribute: str) -> None:
        self._removes.append(self.name(attribute))

    def require(self, condition: str) -> None:
        """Ask for one more condition; all of them must hold."""
        self._conditions.append(f"({condition})")

    def require_item(self) -> None:
        self.require(_IS_THERE)

    def require_no_item(self) -> None:
        self.require(_IS_NEW)

    def request(self, table: str) -> dict[str, Any]:
        """The parameters of the call."""
        parts = (("SET", self._sets), ("ADD", self._adds), ("REMOVE", self._removes))
        request: dict[str, Any] = {
            "TableName": table,
            "Key": key_of(self.where),
            "UpdateExpression": " ".join(f"{word} {', '.join(clauses)}" for word, clauses in parts if clauses),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if self._conditions:
            request["ConditionExpression"] = " AND ".join(self._conditions)
        if self._names:
            request["ExpressionAttributeNames"] = {placeholder: name for name, placeholder in self._names.items()}
        if self._values:
            request["ExpressionAttributeValues"] = wire(self._values)
        return request

    def action(self, table: str) -> TransactWriteItemTypeDef:
        return _action("Update", self.request(table))


@dataclass(frozen=True, slots=True)
class Ask:
    """Writes nothing; the conditions are those of a change that is not made."""

    change: Change

    def action(self, table: str) -> TransactWriteItemTypeDef:
        request = self.change.request(table)
        del request["UpdateExpression"]
        return _action("ConditionCheck", request)


@dataclass(frozen=True, slots=True)
class Drop:
    """The end of an item, if there is one."""

    where: Where

    def action(self, table: str) -> TransactWriteItemTypeDef:
        return _action("Delete", {"TableName": table, "Key": key_of(self.where)})


Action: TypeAlias = Put | Delete | Drop | Check | Ask | Change


def _written(value: Value) -> AttributeValueTypeDef:
    if isinstance(value, bytes):
        return {"B": value}
    return {"S": value} if isinstance(value, str) else {"N": str(value)}


def _read(value: Mapping[str, Any]) -> Any:
    return Decimal(value["N"]) if "N" in value else value["S"] if "S" in value else value["B"]


def _action(kind: str, body: dict[str, Any]) -> TransactWriteItemTypeDef:
    return cast("TransactWriteItemTypeDef", {kind: {"ReturnValuesOnConditionCheckFailure": "ALL_OLD", **body}})

"""Knows how DynamoDB is asked in one thread, with patience where others are at the same item; it must not know what items mean.

A request whose answer is lost is sent again by botocore. A transaction carries a token then and counts once; a single update may
count twice, so nothing but rates is counted by one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pinnace.core.adapters.dynamodb.items import (
    Action,
    Change,
    ConditionFailed,
    Item,
    Value,
    Where,
    item_from,
    key_of,
    wire,
)
from pinnace.core.errors import StoreFailed

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

T = TypeVar("T")
#: How often something is tried while others are at the same items; the waits grow to a second, and add up to about three.
ATTEMPTS = 12
_FIRST_WAIT, _LONGEST_WAIT = 0.01, 1.0
#: What one BatchGetItem takes, and what one TransactGetItems takes everywhere: DynamoDB 100, moto 25.
_MOST_READ, _MOST_AT_ONE_MOMENT = 100, 25
#: What one BatchWriteItem takes.
_MOST_WRITTEN = 25
_BUSY = {
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "ThrottlingError",
    "ThrottlingException",
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
}


class Session:
    """Asks for and writes items of one table.

    Every method raises `StoreFailed` where DynamoDB does not answer, refuses, or is too busy. A read sees every write that ended
    before it.
    """

    def __init__(
        self, client: DynamoDBClient, table: str, observe: Callable[[str], None], sleep: Callable[[float], None]
    ) -> None:
        self._client = client
        self._table = table
        self._observe = observe
        self._sleep = sleep

    def get(self, where: Where) -> Item | None:
        answer = self._ask(
            "GetItem",
            lambda: self._client.get_item(TableName=self._table, Key=key_of(where), ConsistentRead=True),
        )
        return item_from(answer.get("Item", {})) or None

    def get_many(self, wheres: Sequence[Where]) -> dict[Where, Item]:
        """Read the items that are there, each at its own moment."""
        found: dict[Where, Item] = {}
        for begin in range(0, len(wheres), _MOST_READ):
            found |= self._batch(list(dict.fromkeys(wheres[begin : begin + _MOST_READ])))
        return found

    def snapshot(self, wheres: Sequence[Where]) -> dict[Where, Item]:
        """Read the items that are there, all of them at one moment where they are not more than 25."""
        distinct = list(dict.fromkeys(wheres))
        found: dict[Where, Item] = {}
        for begin in range(0, len(distinct), _MOST_AT_ONE_MOMENT):
            found |= self._moment(distinct[begin : begin + _MOST_AT_ONE_MOMENT])
        return found

    def query(
        self,
        pk: str,
        *,
        between: tuple[str, str] | None = None,
        limit: int | None = None,
        latest_first: bool = False,
        only_keys: bool = False,
    ) -> list[Item]:
        """Read the items of a `pk` by their `sk`, as many round trips as they have megabytes."""
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk" + (" AND sk BETWEEN :first AND :last" if between else ""),
            "ExpressionAttributeValues": wire(
                {":pk": pk} | ({":first": between[0], ":last": between[1]} if between else {})
            ),
            "ConsistentRead": True,
            "ScanIndexForward": not latest_first,
        }
        if only_keys:
            request["ProjectionExpression"] = "pk, sk"
        found: list[Item] = []
        while limit is None or len(found) < limit:
            if limit is not None:
                request["Limit"] = limit - len(found)
            page = self._ask("Query", lambda: self._client.query(**request))
            found += [item_from(attributes) for attributes in page["Items"]]
            if "LastEvaluatedKey" not in page:
                break
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        return found

    def put_many(self, items: Mapping[Where, Mapping[str, Value]]) -> None:
        """Write new items, each at its own moment; nobody must name them yet."""
        puts = [{"PutRequest": {"Item": key_of(where) | wire(values)}} for where, values in items.items()]
        self._write_many(puts)

    def delete_many(self, wheres: Sequence[Where]) -> None:
        """Drop the items that are there, each at its own moment."""
        self._write_many([{"DeleteRequest": {"Key": key_of(where)}} for where in wheres])

    def change(self, change: Change) -> Item:
        """Change one item, and give it as it is afterwards.

        Raises:
            ConditionFailed: with the item under the number 0.
        """
        request = change.request(self._table)
        answer = self._ask("UpdateItem", lambda: self._client.update_item(**request, ReturnValues="ALL_NEW"))
        return item_from(answer["Attributes"])

    def transact(self, *actions: Action) -> None:
        """Do all of the actions, on different items, or none.

        Raises:
            ConditionFailed: with the items by the numbers of their actions.
        """
        items = [action.action(self._table) for action in actions]
        self._ask("TransactWriteItems", lambda: self._client.transact_write_items(TransactItems=items))

    def attempts(self) -> Iterator[int]:
        """Count attempts, with a random wait before each but the first.

        Raises:
            StoreFailed: there were enough.
        """
        longest = _FIRST_WAIT
        for attempt in range(ATTEMPTS):
            if attempt:
                # Full jitter, so that those who collided once do not collide again.
                self._sleep(random.uniform(0, longest))  # noqa: S311 - no secret
                longest = min(_LONGEST_WAIT, 2 * longest)
            yield attempt
        raise StoreFailed("The server's store is too busy at the moment.")

    def _moment(self, wheres: Sequence[Where]) -> dict[Where, Item]:
        gets: Any = [{"Get": {"TableName": self._table, "Key": key_of(where)}} for where in wheres]
        answer = self._ask("TransactGetItems", lambda: self._client.transact_get_items(TransactItems=gets))
        items = [item_from(response.get("Item", {})) for response in answer["Responses"]]
        return {where: item for where, item in zip(wheres, items, strict=True) if item}

    def _batch(self, wheres: Sequence[Where]) -> dict[Where, Item]:
        found: list[Item] = []
        pending: Any = {self._table: {"Keys": [key_of(where) for where in wheres], "ConsistentRead": True}}
        for _ in self.attempts():
            some, pending = self._some(pending)
            found += some
            if not pending:
                break
        return {(str(item["pk"]), str(item["sk"])): item for item in found}

    def _some(self, wanted: Any) -> tuple[list[Item], Any]:
        """Read what DynamoDB is ready to give at once; the second value is what to ask for again."""
        answer = self._ask("BatchGetItem", lambda: self._client.batch_get_item(RequestItems=wanted))
        items = answer["Responses"].get(self._table, [])
        return [item_from(attributes) for attributes in items], answer.get("UnprocessedKeys")

    def _write_many(self, requests: Sequence[Any]) -> None:
        for begin in range(0, len(requests), _MOST_WRITTEN):
            pending: Any = {self._table: requests[begin : begin + _MOST_WRITTEN]}
            for _ in self.attempts():
                pending = self._write_some(pending)
                if not pending:
                    break

    def _write_some(self, wanted: Any) -> Any:
        """Write what DynamoDB is ready to take at once; gives what to ask for again."""
        answer = self._ask("BatchWriteItem", lambda: self._client.batch_write_item(RequestItems=wanted))
        return answer.get("UnprocessedItems")

    def _ask(self, operation: str, call: Callable[[], T]) -> T:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - heavy, and needed here alone

        for _ in self.attempts():
            self._observe(operation)
            try:
                return call()
            except ClientError as error:
                failed = _failed_conditions(error.response)
                if failed:
                    raise ConditionFailed(failed) from error
                if not _is_busy(error.response):
                    raise StoreFailed(f"The server's store refuses the request ({_code(error.response)}).") from error
            except BotoCoreError as error:
                # Such as NoCredentialsError, which whoever starts a server must be told.
                raise StoreFailed(f"The server's store cannot be reached ({type(error).__name__}).") from error
        raise AssertionError("attempts() ends by raising")


def _failed_conditions(response: Mapping[str, Any]) -> dict[int, Item]:
    """What was there where a condition failed, by the number of the action."""
    if _code(response) == "ConditionalCheckFailedException":
        return {0: item_from(response.get("Item", {}))}
    return {
        number: item_from(reason.get("Item", {}))
        for number, reason in enumerate(response.get("CancellationReasons", ()))
        if reason.get("Code") == "ConditionalCheckFailed"
    }


def _is_busy(response: Mapping[str, Any]) -> bool:
    codes = {reason.get("Code") for reason in response.get("CancellationReasons", ())}
    return not _BUSY.isdisjoint({_code(response), *codes})


def _code(response: Mapping[str, Any]) -> str:
    code: str = response["Error"]["Code"]
    return code

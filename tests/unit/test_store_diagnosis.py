"""Knows what `pinnace doctor` says of stores that are servers of their own."""

from __future__ import annotations

from pathlib import Path

from pinnace.core.sources import load
from pinnace.core.stores.diagnosis import look_at_stores


async def test_stores_in_the_data_directory_are_no_servers(tmp_path: Path) -> None:
    assert await look_at_stores(load({"PINNACE_DATA_DIR": str(tmp_path)})) == []


async def test_a_redis_that_is_not_there_is_told_without_its_password(tmp_path: Path) -> None:
    # Port 9 takes no connection on loopback.
    variables = {"PINNACE_DATA_DIR": str(tmp_path), "PINNACE_REDIS__URL": "redis://:hunter2@127.0.0.1:9/0"}
    (finding,) = await look_at_stores(load(variables))
    assert (finding.name, finding.status) == ("stores", "failed")
    assert "hunter2" not in repr(finding)


async def test_a_table_that_is_not_named_is_told(tmp_path: Path) -> None:
    (finding,) = await look_at_stores(load({"PINNACE_DATA_DIR": str(tmp_path), "PINNACE_STORE": "dynamodb"}))
    assert (finding.status, finding.remedy) == ("failed", "Correct aws.table.")

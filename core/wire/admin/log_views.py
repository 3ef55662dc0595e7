"""Knows how the statistics of the access log look to those who ask; it must not know who may see them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pinnace.core.model.access_log import AccessStats, ModelStats


def stats_view(project_id: str | None, period: str, days: tuple[str, str], stats: AccessStats) -> dict[str, Any]:
    """The requests of a period by model, by hour and by path; `project_id` is null where they are everybody's."""
    return {
        "project_id": project_id,
        "period": period,
        "from": days[0],
        "to": days[1],
        **_errors(stats.requests, stats.errors),
        "by_model": [_model_view(model) for model in stats.by_model],
        "by_hour": [{"hour": hour.hour, **_errors(hour.requests, hour.errors)} for hour in stats.by_hour],
        "by_path": [asdict(path) for path in stats.by_path],
    }


def _errors(requests: int, errors: int) -> dict[str, Any]:
    rate = round(errors / requests, 6) if requests else 0.0
    return {"requests": requests, "errors": errors, "error_rate": rate}


def _model_view(model: ModelStats) -> dict[str, Any]:
    return {
        "model": model.model,
        "requests": model.requests,
        "input_tokens": model.input_tokens,
        "output_tokens": model.output_tokens,
        "cost_usd": model.cost_microusd / 1_000_000,
        "avg_duration_ms": model.avg_duration_ms,
        "p50_ms": model.p50_ms,
        "p95_ms": model.p95_ms,
    }

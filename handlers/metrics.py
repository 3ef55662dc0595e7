"""Knows what is counted for Prometheus, where `prometheus-client` is installed; it must not know how a request is served."""

from __future__ import annotations

import logging
from typing import Protocol

from pinnace.core.model.alerts import BudgetAlert
from pinnace.core.model.run import Outcome, PoolStats

log = logging.getLogger("pinnace.metrics")


class Metrics(Protocol):
    """Counts; `render` gives the text format, or None where nothing is counted.

    `lost` is how many lines of the access log could not be written since the start.
    """

    def request(self, path: str, status: int, seconds: float, error: str | None) -> None: ...

    def used(self, profile: str, outcome: Outcome) -> None: ...

    def alert(self, alert: BudgetAlert) -> None: ...

    def render(self, pool: PoolStats, lost: int) -> tuple[bytes, str] | None: ...


class NoMetrics:
    """Counts nothing."""

    def request(self, path: str, status: int, seconds: float, error: str | None) -> None:
        """See `Metrics`."""

    def used(self, profile: str, outcome: Outcome) -> None:
        """See `Metrics`."""

    def alert(self, alert: BudgetAlert) -> None:
        """See `Metrics`."""

    def render(self, pool: PoolStats, lost: int) -> tuple[bytes, str] | None:  # noqa: ARG002 - the protocol's signature
        return None


class PrometheusMetrics:
    """Counts in a registry of its own, so that two apps in one process do not add up."""

    def __init__(self) -> None:
        import prometheus_client as prometheus  # noqa: PLC0415 - an optional part

        self._client = prometheus
        self._registry = prometheus.CollectorRegistry()
        registry = self._registry
        self._requests = prometheus.Counter(
            "pinnace_requests_total", "Requests answered.", ["path", "status"], registry=registry
        )
        self._seconds = prometheus.Histogram(
            "pinnace_request_duration_seconds",
            "From the first byte in to the last byte out.",
            ["path"],
            registry=registry,
        )
        self._errors = prometheus.Counter("pinnace_errors_total", "Errors by type.", ["type"], registry=registry)
        self._tokens = prometheus.Counter(
            "pinnace_tokens_total", "Tokens used, by kind.", ["profile", "kind"], registry=registry
        )
        self._cost = prometheus.Counter("pinnace_cost_usd_total", "Cost in dollars.", ["profile"], registry=registry)
        self._alerts = prometheus.Counter(
            "pinnace_budget_alerts_total",
            "Budgets that reached a threshold.",
            ["of", "unit", "share"],
            registry=registry,
        )
        self._lost = prometheus.Counter(
            "pinnace_access_log_lost_total", "Lines of the access log that could not be written.", registry=registry
        )
        self._lost_before = 0
        self._pool = prometheus.Gauge("pinnace_processes", "CLI processes by state.", ["state"], registry=registry)
        self._circuit = prometheus.Gauge(
            "pinnace_circuit", "1 for the state of the circuit to the model's API.", ["state"], registry=registry
        )
        self._waiting = prometheus.Gauge("pinnace_queue_length", "Calls that wait for a process.", registry=registry)

    def request(self, path: str, status: int, seconds: float, error: str | None) -> None:
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)
        if error:
            self._errors.labels(error).inc()

    def used(self, profile: str, outcome: Outcome) -> None:
        for kind, count in outcome.usage.items():
            if kind.endswith("_tokens"):
                self._tokens.labels(profile, kind.removesuffix("_tokens")).inc(count)
        self._cost.labels(profile).inc(max(0, outcome.cost_microusd) / 1_000_000)

    def alert(self, alert: BudgetAlert) -> None:
        of = alert.account.owner.partition(":")[0]
        self._alerts.labels(of, alert.unit, f"{alert.share:g}").inc()

    def render(self, pool: PoolStats, lost: int) -> tuple[bytes, str] | None:
        for state in ("parked", "idle", "busy", "held", "starting"):
            self._pool.labels(state).set(getattr(pool, state))
        for state in ("closed", "open", "half_open"):
            self._circuit.labels(state).set(pool.circuit == state)
        self._waiting.set(pool.waiting)
        self._lost.inc(lost - self._lost_before)
        self._lost_before = lost
        return self._client.generate_latest(self._registry), self._client.CONTENT_TYPE_LATEST


def make_metrics() -> Metrics:
    """Count where `prometheus-client` is installed; say once where it is not."""
    try:
        return PrometheusMetrics()
    except ImportError:
        log.info("no metrics: pip install 'pinnace[metrics]' brings them")
        return NoMetrics()

"""``GET /metrics``: the counters as Prometheus text, put together when somebody asks.

Nothing here is on the way of a message: the parts count in plain integers, and this reads them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, exposition
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from .counters import BATCH_SIZES, COMMIT_S
from .stream import Stream

if TYPE_CHECKING:
    from .context import Context

CONTENT_TYPE: Final = exposition.CONTENT_TYPE_LATEST


def render(context: Context) -> bytes:
    """All metrics of one server."""
    registry = CollectorRegistry()
    registry.register(_Reading(context))
    text: bytes = exposition.generate_latest(registry)
    return text


class _Reading(Collector):
    """One reading of a server's counters."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def collect(self) -> Iterator[Metric]:
        yield from self._server()
        yield from self._connections()
        yield from self._events()
        yield from self._journal()
        yield from self._log()

    def describe(self) -> Iterable[Metric]:
        """No names beforehand: nothing else is in the registry."""
        return ()

    def _server(self) -> Iterator[Metric]:
        context = self._context
        info = GaugeMetricFamily("chatkit_info", "Versions.", labels=["version", "engine", "epoch"])
        info.add_metric([version("chatkit"), context.log.engine, context.log.epoch], 1)
        yield info
        yield _gauge("chatkit_uptime_seconds", "Since the server started.", time.time() - context.started_s)
        healthy = context.journal.accepts and context.log.trouble is None and not context.draining
        yield _gauge("chatkit_healthy", "1 when the log takes writes, as /healthz says.", int(healthy))
        yield _counter("chatkit_errors", "Failures of the server's own; each is in its log.", context.counters.errors)
        refused = CounterMetricFamily("chatkit_refused", "Requests and frames refused, by code.", labels=["code"])
        for code, count in sorted(context.counters.refused.items()):
            refused.add_metric([code], count)
        yield refused

    def _connections(self) -> Iterator[Metric]:
        context = self._context
        streams = sum(isinstance(link, Stream) for link in context.links)
        kinds = {"http": len(context.http), "stream": streams, "websocket": len(context.links) - streams}
        open_now = GaugeMetricFamily("chatkit_connections", "Open connections.", labels=["kind"])
        for kind, count in kinds.items():
            open_now.add_metric([kind], count)
        yield open_now
        yield _gauge("chatkit_connections_limit", "Most connections at once.", context.max_connections)
        yield _counter("chatkit_connections_accepted", "Connections since the start.", context.counters.connections)
        states = GaugeMetricFamily("chatkit_subscriptions", "Subscriptions.", labels=["state"])
        live, behind = context.hub.sizes()
        states.add_metric(["live"], live)
        states.add_metric(["behind"], behind)
        yield states
        counters = context.hub.counters
        yield _counter("chatkit_lagging", "Times a subscription fell behind its stream.", counters.lagging)
        yield _counter("chatkit_caught_up", "Times one was level again.", counters.caught_up)
        yield _counter("chatkit_stalled", "Subscribers closed because they took nothing.", context.counters.stalled)
        yield _gauge("chatkit_unsent_bytes", "Bytes queued for subscribers.", sum(_unsent(context)))

    def _events(self) -> Iterator[Metric]:
        context = self._context
        counters = context.hub.counters
        accepted = CounterMetricFamily("chatkit_events", "Events accepted.", labels=["kind"])
        accepted.add_metric(["persisted"], counters.persisted)
        accepted.add_metric(["ephemeral"], counters.ephemeral)
        yield accepted
        yield _counter("chatkit_duplicates", "Sends that were stored already.", context.counters.duplicates)
        yield _counter("chatkit_deliveries", "Events written to subscribers.", counters.deliveries)
        yield _counter("chatkit_delivered_bytes", "Bytes of them.", counters.delivered_bytes)
        yield _counter(
            "chatkit_ephemeral_skipped", "Ephemeral events that subscribers missed.", counters.ephemeral_skipped
        )

    def _journal(self) -> Iterator[Metric]:
        journal = self._context.journal
        yield _gauge("chatkit_journal_events", "Events that wait for their commit.", journal.waiting)
        yield _gauge("chatkit_journal_bytes", "What they weigh.", journal.waiting_bytes)
        commits = journal.commits
        yield _histogram("chatkit_batch_events", "Events of a batch.", BATCH_SIZES, commits.by_size, commits.events)
        yield _histogram(
            "chatkit_commit_seconds",
            "From taking a batch to handing it out.",
            COMMIT_S,
            commits.by_time,
            commits.total_s,
        )

    def _log(self) -> Iterator[Metric]:
        log = self._context.log
        yield _gauge("chatkit_log_head", "The newest position.", log.head)
        yield _gauge("chatkit_log_floor", "Everything after this position is kept.", log.floor)
        for name, (text, value) in log.gauges().items():
            yield _gauge(f"chatkit_log_{name}", text, value)


def _unsent(context: Context) -> Iterator[int]:
    for link in context.links:
        yield link.unsent


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _histogram(name: str, text: str, bounds: tuple[float, ...], counts: list[int], total: float) -> Metric:
    buckets, so_far = [], 0
    for bound, count in zip((*map(str, bounds), "+Inf"), counts, strict=True):
        so_far += count
        buckets.append((bound, so_far))
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=total)

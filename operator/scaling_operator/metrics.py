"""Prometheus metrics. Series about an experiment are made from its status when they are asked for, and go with it."""

import re
import threading
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from scaling_api.v1alpha1.status import Coefficient, ExperimentStatus, LawStatus
from scaling_operator.cluster.observe import Pass
from scaling_operator.cluster.seen import Key
from scaling_operator.decision import Decision

MOST_REASONS: Final = 100
"""Distinct reasons of failures that are counted by name: a driver may make words up."""
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_STUDY_BUCKETS: Final = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_EXPERIMENT: Final = ("namespace", "experiment")
_WORD: Final = re.compile(r"^[A-Za-z][A-Za-z0-9]{0,62}$")


@dataclass(frozen=True)
class Gauges:
    """Values that are read when they are asked for."""

    queue_depth: Callable[[], int] = lambda: 0
    watch_ages: Callable[[], Mapping[str, float]] = dict
    is_leading: Callable[[], bool] = lambda: True


@dataclass
class Metrics:
    """All of the operator's metrics; also what passes tell of themselves."""

    gauges: Gauges = Gauges()
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        registry = self.registry
        self._statuses: dict[Key, ExperimentStatus] = {}
        self._lock = threading.Lock()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._passes = Histogram(
            "scaling_reconcile_seconds", "Duration of a pass over one experiment.", buckets=_BUCKETS, registry=registry
        )
        self._failures = Counter(
            "scaling_reconcile_failures", "Passes that did not come to their end.", ["reason"], registry=registry
        )
        self._studies = Histogram(
            "scaling_study_seconds",
            "Duration of a plan or an analysis, waiting included.",
            ["kind"],
            buckets=_STUDY_BUCKETS,
            registry=registry,
        )
        self._calls = Counter(
            "scaling_api_requests",
            "Requests to the API server; code 0: no answer.",
            ["verb", "code"],
            registry=registry,
        )
        self._polls = Counter("scaling_driver_polls", "Looks at drivers.", ["outcome"], registry=registry)
        self._attempts = Counter(
            "scaling_attempt_failures", "Attempts of trials without a result.", ["class", "reason"], registry=registry
        )
        self._events = Counter("scaling_events", "What has happened, by reason.", ["type", "reason"], registry=registry)
        self._reasons: set[str] = set()
        registry.register(_FromStatuses(self))

    def text(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self.registry)

    def called(self, verb: str, code: int) -> None:
        """Count a request to the API server."""
        self._calls.labels(verb, str(code)).inc()

    def polled(self, has_answered: bool) -> None:
        """Count a look at a driver."""
        self._polls.labels("answered" if has_answered else "failed").inc()

    def passed(self, key: Key, found: Pass, decision: Decision, *, seconds: float) -> None:
        """Take note of a pass, and of what it has made of the experiment's status."""
        self._passes.observe(seconds)
        with self._lock:
            self._statuses[key] = decision.status or found.observed.status
        for record in decision.trials:
            if (failure := record.status.failure) is not None:
                self._attempts.labels(failure.failure_class.value, self._reason(failure.reason)).inc()
        for event in decision.events:
            self._events.labels(event.type, self._reason(event.reason)).inc()

    def failed(self, key: Key, reason: str, *, seconds: float) -> None:
        """Take note of a pass that failed."""
        del key
        self._passes.observe(seconds)
        self._failures.labels(reason).inc()

    def forgot(self, key: Key) -> None:
        """Drop the series of an experiment that is gone."""
        with self._lock:
            self._statuses.pop(key, None)

    def studied(self, what: str, *, seconds: float) -> None:
        """Take note of a plan or an analysis."""
        self._studies.labels(what).observe(seconds)

    def statuses(self) -> list[tuple[Key, ExperimentStatus]]:
        """Return the last status of every experiment."""
        with self._lock:
            return sorted(self._statuses.items(), key=lambda item: (item[0].namespace, item[0].name))

    def _reason(self, reason: str) -> str:
        if reason in self._reasons:
            return reason
        if len(self._reasons) >= MOST_REASONS or not _WORD.match(reason):
            return "Other"
        self._reasons.add(reason)
        return reason


class _FromStatuses(Collector):
    """Makes the series of experiments."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> list[Metric]:
        """Return nothing: families depend on the laws that there are."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        statuses, gauges = self._metrics.statuses(), self._metrics.gauges
        depth = GaugeMetricFamily("scaling_queue_depth", "Experiments that are due and wait for their pass.")
        depth.add_metric((), gauges.queue_depth())
        leading = GaugeMetricFamily("scaling_leader", "1 where this process may write.")
        leading.add_metric((), float(gauges.is_leading()))
        ages = GaugeMetricFamily(
            "scaling_watch_age_seconds", "Time since something was heard of a kind.", labels=("resource",)
        )
        for resource, age in gauges.watch_ages().items():
            ages.add_metric((resource,), age)
        yield from (depth, leading, ages, _conditions(statuses), _trials(statuses))
        yield from _spent(statuses)
        yield from _coefficients(statuses)


Statuses = list[tuple[Key, ExperimentStatus]]


def _conditions(statuses: Statuses) -> Metric:
    family = GaugeMetricFamily(
        "scaling_experiments", "Experiments by condition and its status.", labels=("condition", "status")
    )
    tally = Tally((c.type, c.status) for _, status in statuses for c in status.conditions)
    for (condition, value), count in sorted(tally.items()):
        family.add_metric((condition, value), count)
    return family


def _trials(statuses: Statuses) -> Metric:
    family = GaugeMetricFamily("scaling_trials", "Trials by state.", labels=(*_EXPERIMENT, "state"))
    for key, status in statuses:
        for state, count in status.trials.model_dump(by_alias=False).items():
            if isinstance(count, int):
                family.add_metric((key.namespace, key.name, state), count)
    return family


def _spent(statuses: Statuses) -> Iterator[Metric]:
    flops = CounterMetricFamily("scaling_spent_training_flops", "FLOPs, lost ones included.", labels=_EXPERIMENT)
    seconds = CounterMetricFamily("scaling_spent_accelerator_seconds", "Idle ones included.", labels=_EXPERIMENT)
    cost = CounterMetricFamily("scaling_spent_cost", "Money, where pools have a price.", labels=_EXPERIMENT)
    planned = GaugeMetricFamily("scaling_planned_training_flops", "FLOPs of the plan.", labels=_EXPERIMENT)
    loss = GaugeMetricFamily("scaling_best_loss_nats", "Lowest held-out loss so far.", labels=_EXPERIMENT)
    for key, status in statuses:
        place = (key.namespace, key.name)
        flops.add_metric(place, status.spent.training_flops)
        seconds.add_metric(place, status.spent.accelerator_seconds)
        for family, value in (
            (cost, status.spent.cost),
            (planned, status.plan.training_flops if status.plan else None),
            (loss, status.best_loss),
        ):
            if value is not None:
                family.add_metric(place, value)
    yield from (flops, seconds, cost, planned, loss)


def _coefficients(statuses: Statuses) -> Iterator[Metric]:
    """Yield a family for each coefficient and each bound: a sum over a family's labels mixes no units."""
    families: dict[str, GaugeMetricFamily] = {}
    for key, status in statuses:
        for law in status.laws:
            for name, label, value in _values(law):
                if name not in families:
                    families[name] = GaugeMetricFamily(name, _HELP, labels=(*_EXPERIMENT, "law", "pipeline"))
                families[name].add_metric((key.namespace, key.name, law.name, label), value)
    yield from (families[name] for name in sorted(families))


_HELP: Final = "A coefficient of a fitted law, or a limit of its confidence interval."


def _values(law: LawStatus) -> Iterable[tuple[str, str, float]]:
    """Yield metric, pipeline and value of each coefficient and its limits."""
    for coefficient in law.coefficients:
        metric, pipeline = _metric_of(coefficient)
        for suffix, value in (("", coefficient.value), ("_lower", coefficient.lower), ("_upper", coefficient.upper)):
            if value is not None:
                yield f"{metric}{suffix}", pipeline, value


def _metric_of(coefficient: Coefficient) -> tuple[str, str]:
    """Return the metric's name and the pipeline: `int3.k` is the penalty's k, of pipeline int3."""
    pipeline, _, name = coefficient.name.rpartition(".")
    word = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "unnamed"
    return (f"scaling_law_penalty_{word}" if pipeline else f"scaling_law_{word}"), pipeline

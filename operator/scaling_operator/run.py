"""The life of the operator's process: a candidate, then the leader, then the end."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import kopf

from scaling_operator.cluster.apply import Writer
from scaling_operator.cluster.bucket import TokenBucket
from scaling_operator.cluster.client import Call, Client, load_configuration
from scaling_operator.cluster.driver_client import DriverClient
from scaling_operator.cluster.errors import ClusterError, Missing
from scaling_operator.cluster.events import Recorder
from scaling_operator.cluster.kinds import EXPERIMENTS
from scaling_operator.cluster.lines import Lines, Locate
from scaling_operator.cluster.observe import Observer
from scaling_operator.cluster.recall import Recalls
from scaling_operator.cluster.seen import Key
from scaling_operator.cluster.watches import Watches
from scaling_operator.desired.driver import driver_address
from scaling_operator.handlers import ExperimentWatch
from scaling_operator.leader import Leader, LeaseName, LostLeadership
from scaling_operator.metrics import Gauges, Metrics
from scaling_operator.probes import Health, Heart, ProbeServer, unheard
from scaling_operator.queue import Queue
from scaling_operator.reconcile import Reconciler
from scaling_operator.science import Limits, Science
from scaling_operator.settings import Settings

logger = logging.getLogger(__name__)

LEASE_RATE: Final = 5.0
"""Requests a second for the lease, which must not wait behind a thousand trials."""
KIND_AGAIN_S: Final = 5.0
PASSES_GRACE_S: Final = 10.0
FAILED: Final = 1
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


Forever: TypeAlias = Coroutine[Any, Any, None]


class Candidate:
    """Why the process is not ready yet."""

    def __init__(self) -> None:
        self.waits_for: str | None = "It has not started yet."

    def why_not_ready(self) -> str | None:
        """Return what it waits for."""
        return self.waits_for


@dataclass
class Process:
    """What lives as long as the process."""

    settings: Settings
    metrics: Metrics
    health: Health
    candidate: Candidate
    client: Client
    leader: Leader
    stop: asyncio.Event


async def run(settings: Settings, environ: Mapping[str, str], *, locate: Locate = driver_address) -> int:
    """Be a candidate, lead, and end when told to; return the exit status.

    Args:
        settings: the administrator's.
        environ: POD_NAME and POD_NAMESPACE.
        locate: where the driver in a RayCluster's head answers.
    """
    async with AsyncExitStack() as stack:
        process = await stack.enter_async_context(_process(settings, environ))
        try:
            if not await _until(process.stop, _lead_soon(process)):
                return 0
            async with _leading(process, locate) as work:
                return await _until_over(process, work)
        except LostLeadership as lost:
            logger.warning("%s This process ends.", lost)
            return FAILED


@asynccontextmanager
async def _process(settings: Settings, environ: Mapping[str, str]) -> AsyncIterator[Process]:
    """Start what a candidate needs: probes, metrics, a heart, and requests for the lease."""
    metrics, health, heart, candidate = Metrics(), Health(), Heart(), Candidate()
    health.live.append(heart.why_dead)
    health.ready.append(candidate.why_not_ready)
    stop = _stop_signal()
    configuration = load_configuration()
    lease_client = Client(configuration, bucket=TokenBucket(LEASE_RATE, burst=10), on_call=metrics.called)
    leader = Leader(lease_client, _lease(settings, environ))
    bucket = TokenBucket(settings.api.requests_per_second, burst=settings.api.burst)
    client = Client(
        configuration,
        bucket=bucket,
        guard=leader.time_left,
        on_call=metrics.called,
        timeout_s=settings.api.timeout_seconds,
    )
    servers = _servers(settings, health, metrics)
    beating = asyncio.create_task(heart.beat(), name="heart")
    try:
        yield Process(settings, metrics, health, candidate, client, leader, stop)
    finally:
        await leader.release()
        beating.cancel()
        for server in servers:
            server.stop()
        client.close()
        lease_client.close()


def _servers(settings: Settings, health: Health, metrics: Metrics) -> list[ProbeServer]:
    servers = [
        ProbeServer(settings.ports.probes, {"/livez": health.livez, "/readyz": health.readyz}),
        ProbeServer(settings.ports.metrics, {"/metrics": lambda: (200, METRICS_TYPE, metrics.text())}),
    ]
    for server in servers:
        server.start()
    return servers


async def _lead_soon(process: Process) -> None:
    """Return once this process leads and our own kind is installed."""
    process.candidate.waits_for = "Another process leads; this one is a candidate."
    await process.leader.acquire()
    process.candidate.waits_for = "ScalingExperiments are not installed."
    namespace = next(iter(process.settings.namespaces), None)
    while True:
        try:
            await process.client.call(Call("GET", EXPERIMENTS.path(namespace), query={"limit": "1"}))
        except Missing:
            logger.warning("ScalingExperiments are not installed; looking again")
        except ClusterError as error:
            logger.warning("ScalingExperiments cannot be read: %s", error)
        else:
            process.candidate.waits_for = None
            return
        await asyncio.sleep(KIND_AGAIN_S)
        await process.leader.renew()


@asynccontextmanager
async def _leading(process: Process, locate: Locate) -> AsyncIterator[Mapping[str, Forever]]:
    """Start what a leader needs; yield what must go on for ever, by name."""
    parts = _assemble(process, locate)
    watches, queue, kopf_watch = parts.watches, parts.queue, parts.kopf_watch
    process.metrics.gauges = Gauges(lambda: queue.depth, watches.ages, lambda: process.leader.is_leading)
    process.health.live.append(lambda: unheard(watches.ages()))
    process.health.ready.append(watches.unread)
    watches.start()
    kopf_watch.start()
    try:
        recorder = parts.recorder.run()
        yield {"lease": process.leader.hold(), "queue": queue.run(), "events": recorder, "kopf": _ended(kopf_watch)}
    finally:
        process.candidate.waits_for = "It is ending."
        kopf_watch.stop()
        watches.stop()
        await queue.close(grace_s=PASSES_GRACE_S if process.leader.is_leading else 0.0)
        for key in list(parts.recalls.by_key):
            parts.recalls.forget(key)
        await parts.science.close()
        await parts.drivers.close()


@dataclass(frozen=True)
class _Parts:
    """What lives as long as the process leads."""

    watches: Watches
    recalls: Recalls
    recorder: Recorder
    science: Science
    drivers: DriverClient
    queue: Queue[Key]
    kopf_watch: ExperimentWatch


def _assemble(process: Process, locate: Locate) -> _Parts:
    loop = asyncio.get_running_loop()
    settings, client, metrics = process.settings, process.client, process.metrics
    recalls, drivers = Recalls(), DriverClient()

    def mark(key: Key) -> None:
        _soon(loop, queue.mark, key)

    def mark_namespace(namespace: str | None) -> None:
        _soon(loop, _mark_known, queue, recalls, namespace)

    watches = Watches(
        client,
        namespaces=settings.namespaces,
        has_kueue=settings.kueue.enabled,
        on_change=mark,
        on_claim=mark_namespace,
        on_kind=lambda: mark_namespace(None),
    )
    recorder = Recorder(client, instance=process.leader.identity)
    lines = Lines(client, drivers, settings.driver, mark, metrics.polled, locate)
    observer = Observer(client, settings, watches, lines, recalls)
    science = Science(Limits(settings.science.timeout_seconds, settings.science.memory))
    reconciler = Reconciler(observer, Writer(client, watches.stores, recorder), science, metrics, mark)
    queue: Queue[Key] = Queue(reconciler.reconcile, resync_s=settings.resync_seconds)
    kopf_watch = ExperimentWatch(namespaces=settings.namespaces, login=lambda: _login(client), mark=mark)
    return _Parts(watches, recalls, recorder, science, drivers, queue, kopf_watch)


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *words: object) -> None:
    """Have the loop call something, from any thread; a loop that is closed has no use for it."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *words)


def _mark_known(queue: Queue[Key], recalls: Recalls, namespace: str | None) -> None:
    for key in list(recalls.by_key):
        if namespace in (None, key.namespace):
            queue.mark(key)


async def _until_over(process: Process, work: Mapping[str, Forever]) -> int:
    """Wait until told to stop, or until a part that must not end has ended."""
    tasks = [asyncio.create_task(part, name=name) for name, part in work.items()]
    told = asyncio.create_task(process.stop.wait(), name="stop")
    try:
        done, _ = await asyncio.wait([told, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {told}:
            task.result()  # raises what ended it
            logger.error("%s has ended, which it must not; this process ends", task.get_name())
        return 0 if told in done else FAILED
    finally:
        for task in (told, *tasks):
            task.cancel()
        await asyncio.gather(told, *tasks, return_exceptions=True)


async def _until(stop: asyncio.Event, work: Forever) -> bool:
    """Return whether the work came to its end before it was told to stop."""
    task, told = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([task, told], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        return task.done() and not told.done()
    finally:
        for running in (task, told):
            running.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await running


async def _ended(watch: ExperimentWatch) -> None:
    while not watch.has_ended.is_set():
        await asyncio.sleep(0.5)


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def _lease(settings: Settings, environ: Mapping[str, str]) -> LeaseName:
    namespace = settings.lease.namespace or environ.get("POD_NAMESPACE") or "default"
    identity = environ.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}"
    return LeaseName(namespace, settings.lease.name, identity)


def _login(client: Client) -> kopf.ConnectionInfo:
    """Return to kopf the credentials that the client has; a renewed token is read from disk each time."""
    found = client.configuration
    scheme, _, token = client.identity().get("Authorization", "").partition(" ")
    return kopf.ConnectionInfo(
        server=found.host,
        ca_path=found.ssl_ca_cert,
        insecure=not found.verify_ssl,
        scheme=scheme or None,
        token=token or None,
        certificate_path=found.cert_file,
        private_key_path=found.key_file,
    )

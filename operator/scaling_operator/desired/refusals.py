"""What an experiment asks for and the administrator, or the cluster, does not allow."""

import posixpath
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Final

from scaling_api.problems import Problem
from scaling_api.v1alpha1.execution import Execution, Pool
from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_operator.desired.environment import is_reserved
from scaling_operator.desired.execution import effective_execution
from scaling_operator.desired.quantities import parse_quantity, slots_of
from scaling_operator.desired.volumes import RESULTS
from scaling_operator.desired.workers import TPU
from scaling_operator.settings import Settings

_LABEL_KEY: Final = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*://")


def refusals(spec: ExperimentSpec, settings: Settings, *, namespace: str) -> tuple[Problem, ...]:
    """Return one problem for each thing in the spec that will not be given, in the spec's order."""
    asked = spec.execution
    effective = effective_execution(asked, settings)
    return (
        *_corpus(spec, effective, settings),
        *_levels(spec, effective.pools),
        *_pools(asked),
        *_accelerators(effective.pools, settings, namespace=namespace),
        *_selector(asked.head.node_selector, "spec.execution.head.nodeSelector"),
        *_names(asked, settings),
        *_environment(asked, settings),
        *_queue(asked, settings),
        *_storage(asked, settings),
    )


def accelerators_of(pools: Sequence[Pool]) -> int:
    """Return how many accelerators the pools have with all their nodes."""
    return sum(pool.max_nodes * pool.accelerator.per_node for pool in pools if pool.accelerator is not None)


def _corpus(spec: ExperimentSpec, effective: Execution, settings: Settings) -> Iterator[Problem]:
    """A path is in a pod only where something is mounted, or in an image of the user's own."""
    uri = spec.task.language.corpus.uri if spec.task.language is not None else None
    if uri is None or _is_remote(uri) or spec.execution.image is not None:
        return
    mounted = [str(mount.get("mountPath")) for mount in settings.pods.volume_mounts]
    if effective.storage is not None and effective.storage.claim_name is not None:
        mounted.append(RESULTS)
    path = posixpath.normpath(re.sub("^file:(//)?", "", uri))
    if not any(f"{path}/".startswith(f"{folder.rstrip('/')}/") for folder in mounted):
        below = f", or a path below {' or '.join(mounted)}" if mounted else ""
        yield Problem(
            "spec.task.language.corpus.uri",
            f"pods do not see files of your machine; name a bucket, such as s3://bucket/corpus{below}, found {uri}",
        )


def _is_remote(uri: str) -> bool:
    return not uri.startswith("file:") and _SCHEME.match(uri) is not None


def _levels(spec: ExperimentSpec, pools: Sequence[Pool]) -> Iterator[Problem]:
    """A trial that needs more slots than its pool can have would wait for ever."""
    by_name = {pool.name: pool for pool in pools}
    for index, level in enumerate(spec.sweep.compute):
        pool = by_name.get(level.pool, pools[0]) if level.pool else pools[0]
        slots = slots_of(pool) * pool.max_nodes
        if level.workers > slots:
            yield Problem(
                f"spec.sweep.compute[{index}].workers",
                f"pool {pool.name} runs at most {slots} workers ({pool.max_nodes} nodes of {slots_of(pool)}), "
                f"found {level.workers}",
            )


def _pools(asked: Execution) -> Iterator[Problem]:
    for index, pool in enumerate(asked.pools):
        here = f"spec.execution.pools[{index}]"
        yield from _accelerator(pool, here)
        yield from _selector(pool.node_selector, f"{here}.nodeSelector")
        for number, toleration in enumerate(pool.tolerations):
            if toleration.key and not _LABEL_KEY.fullmatch(toleration.key):
                yield Problem(f"{here}.tolerations[{number}].key", f"this is no taint's key, found {toleration.key}")
        for name in ("cpu", "memory"):
            amount = getattr(pool.resources, name)
            if amount is not None and parse_quantity(amount) <= 0:
                yield Problem(f"{here}.resources.{name}", f"must be above 0, found {amount}")


def _accelerator(pool: Pool, here: str) -> Iterator[Problem]:
    accelerator = pool.accelerator
    if accelerator is None:
        return
    if not (_LABEL_KEY.fullmatch(accelerator.resource) and "/" in accelerator.resource):
        yield Problem(
            f"{here}.accelerator.resource",
            f"must be the name of an extended resource, such as nvidia.com/gpu, found {accelerator.resource}",
        )
    if accelerator.topology is not None and accelerator.resource != TPU:
        yield Problem(f"{here}.accelerator.topology", f"is for {TPU} alone, found {accelerator.resource}")
    for name, nodes in (("minNodes", pool.min_nodes), ("maxNodes", pool.max_nodes)):
        if nodes % accelerator.num_of_hosts:
            yield Problem(
                f"{here}.{name}",
                f"slices have {accelerator.num_of_hosts} hosts each: must be a multiple of it, found {nodes}",
            )


def _accelerators(pools: Sequence[Pool], settings: Settings, *, namespace: str) -> Iterator[Problem]:
    most, asked = settings.cap_of(namespace).accelerators, accelerators_of(pools)
    if most is not None and asked > most:
        yield Problem(
            "spec.execution.pools",
            f"the administrator allows {most} accelerators in namespace {namespace}, found {asked} at maxNodes",
        )


def _selector(labels: dict[str, str], here: str) -> Iterator[Problem]:
    for key, value in labels.items():
        if not (_LABEL_KEY.fullmatch(key) and _LABEL_VALUE.fullmatch(value)):
            yield Problem(here, f"this is no label that a node can have, found {key}: {value}")


def _names(asked: Execution, settings: Settings) -> Iterator[Problem]:
    allowed = settings.allowed
    for field, found, patterns in (
        ("image", asked.image, allowed.images),
        ("priorityClassName", asked.priority_class_name, allowed.priority_classes),
        ("serviceAccountName", asked.service_account_name, allowed.service_accounts),
    ):
        if found is not None and not any(fnmatchcase(found, pattern) for pattern in patterns):
            choices = ", ".join(patterns) or "none"
            yield Problem(f"spec.execution.{field}", f"the administrator allows {choices}, found {found}")


def _environment(asked: Execution, settings: Settings) -> Iterator[Problem]:
    theirs = {variable.name for variable in settings.pods.env}
    for index, variable in enumerate(asked.env):
        here = f"spec.execution.env[{index}].name"
        if is_reserved(variable.name):
            yield Problem(here, f"{variable.name} is set by the operator; leave it out")
        elif variable.name in theirs:
            yield Problem(here, f"{variable.name} is set by the administrator; leave it out")


def _queue(asked: Execution, settings: Settings) -> Iterator[Problem]:
    if asked.queue_name is not None and not settings.kueue.enabled:
        yield Problem(
            "spec.execution.queueName",
            f"the administrator has not enabled Kueue; leave the queue out, found {asked.queue_name}",
        )


def _storage(asked: Execution, settings: Settings) -> Iterator[Problem]:
    if asked.storage is None:
        return
    if not settings.allowed.storage:
        yield Problem("spec.execution.storage", "the administrator allows the default storage alone; leave it out")
    elif (uri := asked.storage.uri) and not _is_remote(uri):
        yield Problem(
            "spec.execution.storage.uri",
            f"a pod's own files are lost with it; name a bucket, such as s3://bucket/prefix, or a claim, found {uri}",
        )

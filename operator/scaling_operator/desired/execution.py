"""An experiment's execution with the administrator's defaults filled in: what runs, and what the driver is told."""

from scaling_api.v1alpha1.execution import Execution, Head, Pool
from scaling_operator.desired.quantities import filled
from scaling_operator.settings import Settings


def effective_execution(execution: Execution, settings: Settings) -> Execution:
    """Return the execution as it will be: nothing that a default decides is left out."""
    return execution.model_copy(
        update={
            "pools": tuple(_pool(pool, settings) for pool in execution.pools or (settings.default_pool,)),
            "head": _head(execution.head, settings),
            "image": execution.image or settings.trainer.image,
            "queue_name": queue_of(execution, settings),
            "storage": settings.storage_of(execution.storage),
            "service_account_name": execution.service_account_name or settings.pods.service_account_name,
        }
    )


def queue_of(execution: Execution, settings: Settings) -> str | None:
    """Return the Kueue LocalQueue; None where Kueue has no say."""
    return (execution.queue_name or settings.kueue.default_queue) if settings.kueue.enabled else None


def _pool(pool: Pool, settings: Settings) -> Pool:
    return pool.model_copy(update={"resources": filled(pool.resources, settings.default_resources)})


def _head(head: Head, settings: Settings) -> Head:
    default = settings.default_head
    return Head(
        resources=filled(head.resources, default.resources),
        node_selector={**default.node_selector, **head.node_selector},
    )

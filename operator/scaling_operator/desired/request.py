"""What one RayJob is made from."""

from dataclasses import dataclass

from scaling_api.v1alpha1.execution import Execution, Storage
from scaling_operator.desired.labels import ATTEMPT, CLAIM, labels_of, service_account_name
from scaling_operator.observed import Identity
from scaling_operator.settings import AccessMode, Settings


@dataclass(frozen=True)
class ClusterRequest:
    """An experiment's cluster, every default decided."""

    identity: Identity
    execution: Execution
    """As `effective_execution` returns it."""
    settings: Settings
    attempt: int
    """k."""
    claim_mode: AccessMode | None = None
    """Access mode of the claim that exists, where it is known; else the one that the shared claim is asked for with."""
    is_replay: bool = False
    """A head alone, which serves the rows of the journal."""

    @property
    def storage(self) -> Storage:
        """Where results are kept."""
        assert self.execution.storage is not None, "a default has been filled in"
        return self.execution.storage

    @property
    def service_account(self) -> str:
        """The experiment's own, where neither user nor administrator names one."""
        return self.execution.service_account_name or service_account_name(self.identity)

    @property
    def is_queued(self) -> bool:
        """Whether Kueue says when it may start."""
        return self.execution.queue_name is not None

    @property
    def has_autoscaler(self) -> bool:
        """Kueue refuses one, unless told that the job is elastic."""
        return not self.is_replay and (not self.is_queued or self.settings.kueue.elastic)

    @property
    def shares_node(self) -> bool:
        """Whether all pods must be on one node, because the claim can be mounted on one alone."""
        claim = self.settings.storage.claim
        mode = self.claim_mode or (claim.access_mode if self.storage.claim_name == claim.name else None)
        return self.storage.claim_name is not None and mode is AccessMode.READ_WRITE_ONCE

    @property
    def pod_labels(self) -> dict[str, str]:
        """Labels of every pod."""
        claim = {CLAIM: str(self.storage.claim_name)} if self.shares_node else {}
        own = {**labels_of(self.identity), ATTEMPT: str(self.attempt), **claim}
        return {**self.settings.pods.labels, **own}

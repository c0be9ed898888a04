"""ScalingTrial: the record of one trial."""

from scaling_api.labels import TRIAL_KIND, TRIAL_STATE
from scaling_api.v1alpha1.base import API_VERSION
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_operator.desired.labels import owned, trial_name
from scaling_operator.desired.manifest import Manifest
from scaling_operator.observed import Identity


def scaling_trial(identity: Identity, record: TrialRecord) -> Manifest:
    """Return the record as one object, spec and status together: written by one server-side apply a change."""
    labels = {TRIAL_KIND: str(record.spec.kind), TRIAL_STATE: str(record.status.state)}
    return {
        "apiVersion": API_VERSION,
        "kind": "ScalingTrial",
        "metadata": owned(identity, trial_name(identity, record.spec.id), labels=labels),
        **record.model_dump(mode="json", exclude_none=True),
    }

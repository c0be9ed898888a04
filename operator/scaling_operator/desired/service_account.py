"""The Ray pods' own ServiceAccount."""

from scaling_api.v1alpha1.execution import Execution
from scaling_operator.desired.execution import effective_execution
from scaling_operator.desired.labels import owned, service_account_name
from scaling_operator.desired.manifest import Manifest
from scaling_operator.observed import Identity
from scaling_operator.settings import Settings


def service_account(identity: Identity, execution: Execution, settings: Settings) -> Manifest | None:
    """Return the experiment's ServiceAccount, without rights or token; None where one is named.

    KubeRay binds the autoscaler's rights to it as long as a cluster lives. No pod gets a token by itself: the
    autoscaler's container alone mounts one.
    """
    if effective_execution(execution, settings).service_account_name is not None:
        return None
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": owned(identity, service_account_name(identity)),
        "automountServiceAccountToken": False,
    }

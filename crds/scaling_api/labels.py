"""Labels that operator and command agree on: how the objects and pods of an experiment are found."""

from typing import Final

from scaling_api.v1alpha1.base import GROUP

EXPERIMENT: Final = f"{GROUP}/experiment"
"""The experiment's name, on all its objects and pods."""
EXPERIMENT_UID: Final = f"{GROUP}/experiment-uid"
"""Its uid: an experiment of the same name may have been there before."""
TRIAL_KIND: Final = f"{GROUP}/kind"
"""On a ScalingTrial: what it is, such as Dense or Trunk."""
TRIAL_STATE: Final = f"{GROUP}/state"
"""On a ScalingTrial: its state, such as Running."""
NODE_TYPE: Final = "ray.io/node-type"
"""KubeRay's, on a pod: head or worker."""
POOL: Final = "ray.io/group"
"""KubeRay's, on a pod: its worker group, which has the pool's name."""

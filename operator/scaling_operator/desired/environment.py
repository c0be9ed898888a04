"""Variables of the Ray containers: ours, the user's, the administrator's, the later above the earlier."""

from collections.abc import Iterable
from typing import Final

from scaling_api.v1alpha1.execution import EnvironmentVariable
from scaling_operator.desired.manifest import Manifest

OURS: Final = {
    "HOME": "/tmp",
    "USER": "scaling",  # for programs that look up who they are: the user's number need not be in /etc/passwd
    "PYTHONSAFEPATH": "1",
    "PYTHONUNBUFFERED": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
RESERVED_PREFIXES: Final = ("RAY_", "KUBERAY_", "REDIS_", "KUBERNETES_", "SCALING_")
"""KubeRay, Ray and the operator speak to each other through these."""


def is_reserved(name: str) -> bool:
    """Whether no experiment may set this variable."""
    return name in OURS or name.upper().startswith(RESERVED_PREFIXES)


def environment(user: Iterable[EnvironmentVariable], administrator: Iterable[EnvironmentVariable]) -> list[Manifest]:
    """Return the variables, each once."""
    ours = {name: {"name": name, "value": value} for name, value in OURS.items()}
    others = {variable.name: _variable(variable) for variable in (*user, *administrator)}
    return list({**ours, **others}.values())


def _variable(variable: EnvironmentVariable) -> Manifest:
    if variable.secret_ref is None:
        return {"name": variable.name, "value": variable.value or ""}
    secret = {"name": variable.secret_ref.name, "key": variable.secret_ref.key}
    return {"name": variable.name, "valueFrom": {"secretKeyRef": secret}}

"""The driver's token."""

from base64 import b64encode

from scaling_operator.desired.labels import owned, secret_name
from scaling_operator.desired.manifest import Manifest
from scaling_operator.desired.volumes import TOKEN_KEY
from scaling_operator.observed import Identity


def driver_secret(identity: Identity, token: str) -> Manifest:
    """Return the Secret with the driver's token: created once, for the driver of every attempt."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": owned(identity, secret_name(identity)),
        "type": "Opaque",
        "immutable": True,
        "data": {TOKEN_KEY: b64encode(token.encode()).decode()},
    }

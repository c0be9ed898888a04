"""What storage can refuse, and whether waiting helps.

    StorageError
    ├── StorageRefusedError        a person must act: wrong credentials, no such bucket, a folder without permission
    ├── StorageFullError           there is no room
    └── StorageUnreachableError    waiting may help: the network, a server that restarts

What a file system raises is an OSError; `storage_error` says which of these it means.
"""

import errno
from typing import Final

from scaling_trainer.errors import DISK_FULL, ConfigurationError, DiskFullError

_REFUSALS: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENAMETOOLONG})
# Names of the S3 error codes as Arrow's messages have them, and those of Google's storage. See
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_REFUSED_WORDS: Final = (
    "ACCESS_DENIED",
    "AccessDenied",
    "INVALID_ACCESS_KEY_ID",
    "InvalidAccessKeyId",
    "SIGNATURE_DOES_NOT_MATCH",
    "SignatureDoesNotMatch",
    "INVALID_CLIENT_TOKEN_ID",
    "UNRECOGNIZED_CLIENT",
    "NO_SUCH_BUCKET",
    "NoSuchBucket",
    "HTTP status 403",
    "PERMISSION_DENIED",
    "UNAUTHENTICATED",
)
_LONGEST: Final = 600


class StorageError(Exception):
    """Storage did not do what it was asked; the sentence says what and why."""


class StorageRefusedError(StorageError, ConfigurationError):
    """A person must act: no retry can help."""


class StorageFullError(StorageError, DiskFullError):
    """There is no room in storage."""


class StorageUnreachableError(StorageError):
    """Storage could not be used for now."""

    is_infrastructure = True


def storage_error(error: OSError, *, uri: str) -> StorageError:
    """Return what an error of a file system means for the one who waits for it."""
    what = " ".join(str(error).split())[:_LONGEST]
    if error.errno in DISK_FULL:
        return StorageFullError(f"There is no room left in the storage {uri} ({what}). Free some space there.")
    if error.errno in _REFUSALS or any(word in what for word in _REFUSED_WORDS):
        return StorageRefusedError(
            f"The storage {uri} refuses: {what}. Check that it exists, and that its credentials may read and write."
        )
    return StorageUnreachableError(f"The storage {uri} cannot be used for now: {what}.")

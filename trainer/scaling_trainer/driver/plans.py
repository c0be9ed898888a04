"""The plan in storage, so that a driver that starts again goes on without being told."""

from scaling_api.driver_protocol import DriverPlan
from scaling_trainer.storage.files import Files


def plan_name(epoch: str, number: int) -> str:
    """Return the name of a plan's file, relative to the experiment's folder; later ones sort after earlier ones."""
    return f"plans/{epoch}-{number:06}.json"


def last_plan(files: Files, folder: str) -> DriverPlan | None:
    """Return the newest plan in storage that can be read.

    Raises:
        StorageError: storage cannot be used.
    """
    for name in reversed(files.names(f"{folder}/plans")):
        try:
            return DriverPlan.model_validate_json(files.read(name))
        except (FileNotFoundError, ValueError):  # damaged, or of another version
            continue
    return None

"""`scaling version`."""

import sys


def version() -> None:
    """Print the version."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed_version

    try:
        number = installed_version("scaling-operator")
    except PackageNotFoundError:  # run from a source tree that was never installed
        number = "unknown"
    sys.stdout.write(f"scaling {number}\n")

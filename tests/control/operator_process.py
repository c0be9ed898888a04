"""The operator as it is, in a process of its own; only where drivers are is looked up in a folder.

At level control there is no cluster DNS: the stand-in for KubeRay writes each head's address into a file with the
RayCluster's name.
"""

import os
import sys
from pathlib import Path

from scaling_operator import __main__ as program
from scaling_operator.desired.driver import DriverAddress
from scaling_operator.run import run
from scaling_operator.settings import Driver

NOWHERE = "http://127.0.0.1:1"


def locate(namespace: str, ray_cluster: str, _driver: Driver) -> DriverAddress:
    place = Path(os.environ["SCALING_TEST_HEADS"], f"{namespace}.{ray_cluster}")
    return DriverAddress(place.read_text() if place.exists() else NOWHERE, is_proxied=False)


if __name__ == "__main__":
    program.end(program.main(lambda settings, environ: run(settings, environ, locate=locate)))
    sys.exit()

"""How fast this machine multiplies matrices: what a demo's time is to be read beside."""

import os
import subprocess
import sys
import time
from typing import Final

_SIDE: Final = 1536  # large enough for peak speed, small enough for some hundred repetitions a second
_SECONDS: Final = 0.6
_TIMEOUT_S: Final = 60.0
_THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def gemm_gflops(threads: int) -> float:
    """Return the best speed, in GFLOP/s, at which torch multiplies square fp32 matrices on `threads` threads.

    Measured in a process of its own: the caller need not have torch, and keeps its own number of threads. Takes two
    to three seconds, most of them the import of torch.

    Raises:
        RuntimeError: it could not be measured; the message has the process's last words.
    """
    environment = {**os.environ, **dict.fromkeys(_THREAD_VARIABLES, str(threads))}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "scaling_trainer.probe", str(threads)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
        return float(done.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        output = getattr(error, "stderr", None) or str(error)
        raise RuntimeError(f"the speed of this machine could not be measured: {output.splitlines()[-1]}") from error


def _measure(threads: int) -> float:
    import torch

    torch.set_num_threads(threads)
    left, right, product = (torch.randn(_SIDE, _SIDE) for _ in range(3))
    flops = 2 * _SIDE**3
    end = time.perf_counter() + _SECONDS
    best = float("inf")
    while time.perf_counter() < end:
        begin = time.perf_counter()
        torch.mm(left, right, out=product)
        best = min(best, time.perf_counter() - begin)
    return flops / best / 1e9


if __name__ == "__main__":
    sys.stdout.write(f"{_measure(int(sys.argv[1]))}\n")

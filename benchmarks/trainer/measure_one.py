"""One process of the benchmark: prints JSON of what it measured. Started by `throughput.py`."""

import argparse
import json
import time
from typing import Any

import numpy as np
import torch
from nanogpt_loop import NanoGPTLoop
from trainer_loop import TrainerLoop


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["trainer", "nanogpt", "nanogpt-fused", "parts", "gemm"])
    parser.add_argument("--shape", type=json.loads, default={})
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(json.dumps(measured(given.what, given.shape, given.seconds)))


def measured(what: str, shape: dict[str, int], seconds: float) -> dict[str, float]:
    if what == "gemm":
        return {"gflops": peak_gflops()}
    text = np.random.default_rng(0).choice(np.arange(32, 96, dtype=np.uint8), size=20_000_000)
    loop: Any = (
        TrainerLoop(text, **shape)
        if what in {"trainer", "parts"}
        else NanoGPTLoop(text, **shape, fused=what == "nanogpt-fused")
    )
    loop.train(20)
    steps = max(5, round(seconds / seconds_of(loop, 5) * 5))
    if what == "parts":
        parts: dict[str, float] = loop.part_seconds(steps)
        return {name: value / parts["total"] for name, value in parts.items()}
    return {"tokens_per_second": steps * shape["batch"] * shape["context"] / seconds_of(loop, steps)}


def seconds_of(loop: Any, steps: int) -> float:
    begin = time.perf_counter()
    loop.train(steps)
    return time.perf_counter() - begin


def peak_gflops(size: int = 1536) -> float:
    """The faster of PyTorch's two libraries on a large square product."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    products = [lambda: a @ b.T]
    if torch.backends.mkldnn.is_available():
        products.append(lambda: torch.ops.mkldnn._linear_pointwise.default(a, b, None, "none", [], ""))
    best = float("inf")
    for product in products:
        for _ in range(15):
            begin = time.perf_counter()
            product()
            best = min(best, time.perf_counter() - begin)
    return 2 * size**3 / best / 1e9


if __name__ == "__main__":
    main()

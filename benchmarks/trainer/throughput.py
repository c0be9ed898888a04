"""Training throughput side by side: against nanoGPT's loop, against the processor's peak, lanes against threads.

    python benchmarks/trainer/throughput.py [--rounds 5] [--seconds 5]

Every round runs each contestant once, one after the other, each in a process of its own; the table has the medians
over rounds, and ratios are medians of the rounds' ratios. Leave the machine alone meanwhile.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOTS = [str(HERE.parents[1] / name) for name in ("trainer", "laws", "crds")]

Shape = dict[str, int]
SMALL: Shape = {"layers": 2, "width": 72, "heads": 2, "context": 64, "batch": 8}  # 0.14 M
SMALL_32: Shape = SMALL | {"batch": 32}
NANOGPT: Shape = {"layers": 4, "width": 128, "heads": 4, "context": 64, "batch": 12}  # 0.82 M
LARGE: Shape = {"layers": 6, "width": 384, "heads": 12, "context": 64, "batch": 12}  # 10.7 M


def start(what: str, shape: Shape, threads: int, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, str(HERE / "measure_one.py"), what, "--shape", json.dumps(shape)]
    command += ["--threads", str(threads), "--seconds", str(seconds)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": os.pathsep.join(ROOTS)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def run(what: str, shape: Shape, *, threads: int = 1, seconds: float, lanes: int = 1) -> list[dict[str, float]]:
    processes = [start(what, shape, threads, seconds) for _ in range(lanes)]
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit(f"{what} failed")
    return [json.loads(output.splitlines()[-1]) for output in outputs]


def speed(what: str, shape: Shape, *, threads: int = 1, seconds: float, lanes: int = 1) -> float:
    found = run(what, shape, threads=threads, seconds=seconds, lanes=lanes)
    return sum(one["tokens_per_second"] for one in found)


def flops_per_token(shape: Shape) -> int:
    matmul = 12 * shape["layers"] * shape["width"] ** 2 + 256 * shape["width"]
    return 6 * matmul + 12 * shape["layers"] * shape["width"] * shape["context"]


def named(shape: Shape) -> str:
    matmul = 12 * shape["layers"] * shape["width"] ** 2 + 256 * shape["width"]
    return f"{matmul / 1e6:.2f} M (L{shape['layers']} d{shape['width']}, batch {shape['batch']} x {shape['context']})"


def compare(title: str, rounds: int, contestants: dict[str, tuple[float, ...]]) -> None:
    print(f"\n{title}")
    first = next(iter(contestants.values()))
    for name, values in contestants.items():
        ratio = statistics.median(a / b for a, b in zip(first, values, strict=True))
        print(f"  {name:34s} {statistics.median(values):10,.0f} tokens/s   first / this {ratio:.2f}")


def against_nanogpt(rounds: int, seconds: float) -> None:
    for threads in (1, 2):
        values: dict[str, list[float]] = {"trainer": [], "nanogpt": [], "nanogpt-fused": []}
        for _ in range(rounds):
            for what, found in values.items():
                found.append(speed(what, NANOGPT, threads=threads, seconds=seconds))
        title = f"{named(NANOGPT)}, one process of {threads} thread(s)"
        compare(title, rounds, {name: tuple(v) for name, v in values.items()})


def lanes_against_threads(rounds: int, seconds: float) -> None:
    for shape in (SMALL, SMALL_32):
        lanes, threads = [], []
        for _ in range(rounds):
            lanes.append(speed("trainer", shape, seconds=seconds, lanes=2))
            threads.append(speed("trainer", shape, threads=2, seconds=seconds))
        contestants = {"two processes of one thread": tuple(lanes), "one process of two threads": tuple(threads)}
        compare(named(shape), rounds, contestants)


def against_peak(rounds: int, seconds: float) -> None:
    print("\nShare of the fp32 GEMM peak of as many threads (the faster of MKL and oneDNN)")
    for shape, threads in ((NANOGPT, 1), (NANOGPT | {"batch": 32}, 1), (LARGE, 2), (LARGE | {"batch": 32}, 2)):
        shares, peaks = [], []
        for _ in range(rounds):
            peaks.append(run("gemm", {}, threads=threads, seconds=0)[0]["gflops"])
            reached = speed("trainer", shape, threads=threads, seconds=seconds) * flops_per_token(shape) / 1e9
            shares.append(reached / peaks[-1])
        print(
            f"  {named(shape):42s} {threads} thread(s)  {statistics.median(shares):5.0%} "
            f"of {statistics.median(peaks):.0f} GFLOP/s"
        )


def parts(rounds: int, seconds: float) -> None:
    print("\nShare of a step, one thread")
    for shape in (SMALL, SMALL_32, NANOGPT):
        found = [run("parts", shape, seconds=seconds)[0] for _ in range(rounds)]
        names: Sequence[str] = ("forward", "backward", "optimizer", "clipping", "outside")
        medians = (f"{name} {statistics.median(one[name] for one in found):.1%}" for name in names)
        print(f"  {named(shape):42s} {', '.join(medians)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()
    for part in (against_nanogpt, lanes_against_threads, against_peak, parts):
        part(given.rounds, given.seconds)


if __name__ == "__main__":
    main()

"""What a driver takes: memory idle and with 10,000 trials, time a trivial trial with journalling, time to start again.

    python benchmarks/driver/scale.py [TRIALS]

Runs a real driver process on a folder in the temporary folder, with the local executor and trials that do nothing.
"""

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / name) for name in ("unit/driver", "unit/executor", "unit/storage", "cluster")]

from driving import Driving, plan  # noqa: E402 - found by the line above
from scripted_plan import trial  # noqa: E402


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        driver = Driving(
            storage=f"{folder}/storage", folder=Path(folder, "driver"), run="scripted_trials:do_nothing", lanes=1
        )
        begin = time.monotonic()
        driver.started()
        report("start, empty storage", f"{time.monotonic() - begin:.2f} s")
        report("memory, idle", memory(driver))
        sweep = plan([trial(f"t{i}") for i in range(count)])
        begin = time.monotonic()
        driver.client.put(sweep)
        report(f"PUT of {count} trials", f"{time.monotonic() - begin:.2f} s")
        driver.finished(timeout_s=1800)
        seconds = time.monotonic() - begin
        report("time a trivial trial, one lane", f"{seconds / count * 1e3:.2f} ms")
        report("segments", str(len(driver.segments())))
        report(f"memory, {count} trials done", memory(driver))
        begin = time.monotonic()
        rows = driver.client.rows()
        report(f"reading {len(rows)} rows", f"{time.monotonic() - begin:.2f} s")
        driver.kill()
        begin = time.monotonic()
        driver.started()
        report("start again, rows served after", f"{time.monotonic() - begin:.2f} s")
        driver.finished(timeout_s=600)
        report("start again, finished after", f"{time.monotonic() - begin:.2f} s")
        report("memory, started again", memory(driver))
        driver.kill()


def memory(driver: Driving) -> str:
    assert driver.process is not None
    return f"driver {rss(driver.child()):.0f} MiB, supervisor {rss(driver.process.pid):.0f} MiB"


def rss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1024


def report(what: str, value: str) -> None:
    print(f"{what:40} {value}", flush=True)


if __name__ == "__main__":
    main()

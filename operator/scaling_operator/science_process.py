"""The other end of `science`: reads a request, answers it, reads the next; run as `-m`, never imported."""

import ctypes
import pickle
import resource
import signal
import sys
from dataclasses import replace
from typing import Any, BinaryIO

from scaling_operator.fitting import AnalysisRequest, make_analysis
from scaling_operator.planning import PlanAnswer, PlanRequest, make_plan
from scaling_operator.science import PIECE, with_trials

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Answer requests until there are no more."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # a killed operator leaves no fit behind
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # one that was killed before that reads no answer: end without a word
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # control-C is the operator's to handle
    import scaling_laws.analysis  # noqa: F401 - a library that is short of memory while it is loaded may hang

    _limit_memory(int(sys.argv[1]))
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing else may write between two answers
    _write(answers, ("ready", None, 0))
    while (request := _request(requests)) is not None:
        _answer(request, answers)


def _limit_memory(most_bytes: int) -> None:
    """Bound the address space: numpy then raises MemoryError, which is answered, where a container would be killed."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def _request(stream: BinaryIO) -> Any:
    found = _read(stream)
    if found is None:
        return None
    head, count = found
    items: list[Any] = []
    while len(items) < count:
        items.extend(_read(stream))
    return replace(head, records=tuple(items)) if isinstance(head, AnalysisRequest) else head


def _answer(request: PlanRequest | AnalysisRequest, stream: BinaryIO) -> None:
    try:
        if isinstance(request, AnalysisRequest):
            _write(stream, ("analysis", make_analysis(request), 0))
        else:
            _write_plan(stream, make_plan(request))
    except MemoryError:
        _write(stream, ("memory", None, 0))
    except Exception as error:  # a bug in a fit must not look like a crash
        import traceback

        traceback.print_exc()
        _write(stream, ("error", f"{type(error).__name__}: {error}"[:500], 0))


def _write_plan(stream: BinaryIO, answer: PlanAnswer) -> None:
    trials = answer.plan.trials if answer.plan else ()
    _write(stream, ("plan", with_trials(answer, ()), len(trials)))
    for start in range(0, len(trials), PIECE):
        _write(stream, trials[start : start + PIECE])


def _write(stream: BinaryIO, value: object) -> None:
    frame = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(len(frame).to_bytes(8, "big") + frame)
    stream.flush()


def _read(stream: BinaryIO) -> Any:
    size = stream.read(8)
    return pickle.loads(stream.read(int.from_bytes(size, "big"))) if len(size) == 8 else None


if __name__ == "__main__":
    main()

"""A trial of several workers, on Ray Train.

The actor is a lane of a gang: trials come one after the other, and each begins a `TorchTrainer` of its own, whose
workers hold the slots that the driver has set aside. It holds none itself.
"""

import os
import queue
import tempfile
import threading
import traceback
from collections.abc import Iterable, Mapping
from typing import Any, Final

from scaling_api.v1alpha1.trial import FailureClass
from scaling_trainer.executors.failures import failure
from scaling_trainer.executors.lane import thread_environment
from scaling_trainer.executors.messages import Message, Raised, Ready, Setup, Unusable, Work, parse_message
from scaling_trainer.executors.ray.failures import failure_of_ray
from scaling_trainer.executors.ray.gang_worker import PEER_LOST, GangError, work_along
from scaling_trainer.executors.ray.trial_words import TrialWords

_TIMEOUT_S: Final = 4 * 3600  # of a collective: the others wait while the first worker evaluates
_SETTINGS: Final = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "1800",  # nodes may have to be brought up
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a lost worker is seen as such, and 190 MiB are spared
}


class GangActor:
    """Three threads call it: one waits for words, one brings trials, one has the workers' words."""

    def __init__(self, number: int, setup: str, request: Mapping[str, float]) -> None:
        """Import Ray Train.

        Args:
            number: of the lane.
            setup: a `Setup`, as JSON.
            request: what each worker asks Ray for.
        """
        os.environ.update(_SETTINGS)
        self._setup = Setup.model_validate_json(setup)
        self._request = dict(request)
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._number = number
        self._words = TrialWords()
        self._say(_ready_or_not())

    def start(self, work: str) -> None:
        """Begin a trial: a `Work`, as JSON."""
        told = Work.model_validate_json(work)
        self._words.begin(told, lane=self._number)
        threading.Thread(target=self._run, args=(told,), daemon=True).start()

    def exchange(self) -> list[str]:
        """Wait until there is something to say, and return the messages, as JSON."""
        lines = [self._said.get()]
        while not self._said.empty():
            lines.append(self._said.get())
        return lines

    def tell(self, line: str) -> None:
        """Take a message of the first worker, as JSON."""
        self._words.heard(parse_message(line))
        self._said.put(line)

    def _say(self, message: Message) -> None:
        self._words.heard(message)
        self._said.put(message.model_dump_json())

    def _run(self, work: Work) -> None:
        try:
            self._say(self._fitted(work))
        except Exception as error:
            traceback.print_exc()
            self._say(Raised(failure=failure_of_ray(error)))

    def _fitted(self, work: Work) -> Message:
        from ray.train import TrainingFailedError

        with tempfile.TemporaryDirectory(prefix="scaling-gang-") as folder:
            try:
                line = self._trainer(work, folder).fit().return_value
            except TrainingFailedError as error:
                return _verdict(error)
        return parse_message(line)

    def _trainer(self, work: Work, folder: str) -> Any:
        import ray
        from ray.train import RunConfig, ScalingConfig
        from ray.train.torch import TorchConfig, TorchTrainer

        is_gpu = "GPU" in self._request
        backend = "nccl" if is_gpu and not self._setup.cpu_fallback else "gloo"
        share = {
            "setup": self._setup.model_dump_json(),
            "work": work.model_dump_json(),
            "gang": ray.get_runtime_context().current_actor,
        }
        workers = work.trial.compute.workers
        return TorchTrainer(
            work_along,
            train_loop_config=share,
            torch_config=TorchConfig(backend=backend, timeout_s=_TIMEOUT_S),
            scaling_config=ScalingConfig(num_workers=workers, use_gpu=is_gpu, resources_per_worker=self._request),
            run_config=RunConfig(**self._run_options(work, folder)),
        )

    def _run_options(self, work: Work, folder: str) -> dict[str, Any]:
        from ray.train import FailureConfig, LoggingConfig

        once: dict[str, Any] = {"max_failures": 0, "max_preemption_failures": 0}  # the driver counts attempts
        return {
            "name": f"{work.trial.id}-{work.attempt}",  # never the same again: Ray goes on silently from what it finds
            "storage_path": folder,
            "failure_config": FailureConfig(**once),
            "logging_config": LoggingConfig(log_level="ERROR"),
            "worker_runtime_env": {"env_vars": thread_environment(self._setup.threads)},
        }


def _ready_or_not() -> Message:
    try:
        import ray.train.torch  # noqa: F401 - seconds, which no trial should wait for
    except ImportError as error:
        message = f"Trials of several workers need Ray Train, which cannot be imported: {error}."
        return Unusable(failure=failure(FailureClass.CONFIGURATION, "TrainerUnavailable", message))
    return Ready()


def _verdict(error: Exception) -> Message:
    """Return what the workers' errors mean: a lost worker explains the others', and a peer's loss nothing."""
    errors = [getattr(found, "_base_exc", found) for found in _worker_errors(error)]
    lost = next((found for found in errors if not isinstance(found, GangError)), None)
    if lost is not None or not errors:
        return Raised(failure=failure_of_ray(lost or error))
    raised = [found.raised for found in errors if isinstance(found, GangError)]
    return next((one for one in raised if one.failure.reason != PEER_LOST), raised[0])


def _worker_errors(error: Exception) -> Iterable[Exception]:
    failures: Mapping[int, Exception] = getattr(error, "worker_failures", {})
    return failures.values()

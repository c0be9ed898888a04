"""Finds out a corpus's fingerprint, which trials' ids depend on, without making anyone wait."""

import hashlib
import logging
import threading

from scaling_api.driver_protocol import DriverPlan
from scaling_api.v1alpha1.task import Corpus
from scaling_api.v1alpha1.trial import Failure, FailureClass
from scaling_trainer.data.corpus import CorpusError, fingerprint
from scaling_trainer.executors.failures import failure

_log = logging.getLogger("scaling.driver")


class Fingerprints:
    """Fingerprints of corpora that plans have named."""

    def __init__(self) -> None:
        """Begin with none."""
        self._found: dict[str, str] = {}
        self._failures: dict[str, Failure] = {}
        self._threads: dict[str, threading.Thread] = {}

    def is_wanted(self, plan: DriverPlan) -> bool:
        """Whether the plan leaves the fingerprint to be found out."""
        return plan.task.language is not None and plan.corpus_fingerprint is None

    def look(self, plan: DriverPlan) -> bool:
        """Begin to find a plan's fingerprint; return whether that is over."""
        corpus = _corpus(plan)
        key = _key(corpus)
        if key not in self._threads:
            thread = threading.Thread(target=self._find, args=(corpus, key), name="fingerprint", daemon=True)
            self._threads[key] = thread
            thread.start()
        thread = self._threads[key]
        thread.join(0.2)
        if thread.is_alive():
            return False
        del self._threads[key]
        return True

    def found(self, plan: DriverPlan) -> str | None:
        """Return the fingerprint of a plan's corpus, once it is known."""
        return self._found.get(_key(_corpus(plan))) if self.is_wanted(plan) else None

    def failure(self, plan: DriverPlan) -> Failure | None:
        """Return why a plan's corpus has no fingerprint, where it has none."""
        return self._failures.get(_key(_corpus(plan))) if self.is_wanted(plan) else None

    def _find(self, corpus: Corpus, key: str) -> None:
        try:
            self._found[key] = fingerprint(corpus)
            self._failures.pop(key, None)
        except CorpusError as error:
            self._failures[key] = failure(FailureClass.CONFIGURATION, "Corpus", str(error))
            _log.warning("%s", error)
        except Exception as error:
            self._failures[key] = failure(FailureClass.APPLICATION, type(error).__name__, str(error))
            _log.exception("the corpus could not be read")


def _corpus(plan: DriverPlan) -> Corpus:
    assert plan.task.language is not None
    return plan.task.language.corpus


def _key(corpus: Corpus) -> str:
    return hashlib.sha256(corpus.model_dump_json().encode()).hexdigest()

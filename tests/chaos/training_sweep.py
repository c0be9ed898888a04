"""Run a tiny sweep of real training to its end: trunks, branches and pipelines on a little text."""

import sys
from pathlib import Path

import sympy

from scaling_api.v1alpha1.compression import Finetune, Pipeline, Prune, Quantize, Stage
from scaling_api.v1alpha1.experiment import ExperimentSpec, Metadata, ScalingExperiment
from scaling_api.v1alpha1.sweep import DataAxis, ModelAxis, Sweep
from scaling_api.v1alpha1.task import Corpus, LanguageTask, Task
from scaling_api.v1alpha1.training import Training
from scaling_laws.design.plan import Plan, plan_trials
from scaling_trainer.context import TrialContext
from scaling_trainer.data.corpus import fingerprint
from scaling_trainer.executors.base import Orders
from scaling_trainer.executors.local import LocalExecutor
from scaling_trainer.results import ResultsFolder

CORPUS = Corpus(uri=str(Path(sympy.__file__).parent / "core"))
PIPELINES = (
    Pipeline(name="dense"),
    Pipeline(name="int4", stages=(Stage(quantize=Quantize(weight_bits=4)),)),
    Pipeline(name="p50", stages=(Stage(prune=Prune(sparsity=0.5)), Stage(finetune=Finetune(fraction=0.3)))),
)


def experiment() -> ScalingExperiment:
    spec = ExperimentSpec(
        task=Task(language=LanguageTask(corpus=CORPUS, context_length=32)),
        sweep=Sweep(
            model=ModelAxis(parameters=(10_000, 20_000)),
            data=DataAxis(tokens=(60_000, 120_000)),
            compression=PIPELINES,
        ),
        training=Training(evaluation_sequences=64, warmup_steps=20),
    )
    return ScalingExperiment(metadata=Metadata(name="tiny"), spec=spec)


def plan() -> Plan:
    return plan_trials(experiment().spec, corpus_fingerprint=fingerprint(CORPUS))


def run(folder: Path) -> bool:
    spec, trials = experiment().spec, plan().trials
    context = TrialContext(
        task=spec.task,
        training=spec.training,
        corpus_fingerprint=fingerprint(CORPUS),
        folder=folder,
        checkpoint_interval_s=0.1,
    )
    orders = Orders(0, trials, spec.execution)
    with ResultsFolder.open(folder, experiment()) as results:
        executor = LocalExecutor(context, lanes=2, keep_open=(results.lock_descriptor,))
        outcome = executor.run(lambda: orders, ledger=results, on_event=lambda _: None)
    return len(outcome.records) == len(trials) and outcome.stopped is None


if __name__ == "__main__":
    sys.exit(0 if run(Path(sys.argv[1])) else 1)

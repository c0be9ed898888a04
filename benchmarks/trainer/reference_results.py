"""Reference results of an earlier pilot, reproduced: branches, post-training quantization, magnitude pruning.

    python benchmarks/trainer/reference_results.py [--out FOLDER]

The pilot trained a 0.14 M byte-level model on the interpreter's library source, 2,048 tokens a step, at a constant
3e-3 for all matrices. Here: the same text, context, batch, warmup, decay and clipping, with this trainer's model
(rotary positions, squared ReLU, RMSNorm) and its muP-style rates.
"""

import argparse
import sysconfig
import tempfile
from pathlib import Path

import torch

from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_api.v1alpha1.trial import TrialKind, TrialSpec
from scaling_laws.design.plan import plan_trials
from scaling_trainer.context import TrialContext
from scaling_trainer.data.corpus import fingerprint
from scaling_trainer.train import run_trial

STEPS = (500, 1000, 2000, 4000)
TOKENS_A_STEP = 2048
BRANCHES = {500: 1.867, 1000: 1.588, 2000: 1.407, 4000: 1.309}
"""Loss of the pilot's decay branches, nats a byte, by steps."""
QUANTIZED = {8: 0.0005, 6: 0.0006, 5: 0.012, 4: 0.035, 3: 0.185, 2: 1.25}
"""Change in loss by bits, groups of 32."""
PRUNED = {30: 0.087, 50: 0.584, 70: 2.2, 90: 4.3}
"""Change in loss by per cent of the blocks' weights, at once."""
TUNED = {30: -0.015, 50: 0.012, 70: 0.186, 90: 0.926}
"""The same after 300 more steps."""
MORE_STEPS = 300
INSTALLED = {"site-packages", "dist-packages"}


def library_source(path: Path) -> Path:
    """Write the interpreter's library source, without installed packages, to one file.

    One file, so that held-out text comes from the same modules as the training text, as in the pilot. Held out by
    module the loss after 4,000 steps is .05 higher.
    """
    root = Path(sysconfig.get_path("stdlib"))
    files = [p for p in sorted(root.rglob("*.py")) if not INSTALLED & set(p.relative_to(root).parts)]
    path.write_bytes(b"\n\n".join(text for text in (p.read_bytes() for p in files) if is_text(text)))
    return path


def is_text(content: bytes) -> bool:
    """Say whether a file is UTF-8 without NUL bytes: some test modules are not, on purpose."""
    return b"\0" not in content and content.decode("utf-8", "ignore").encode() == content


def experiment(corpus: Path, steps: tuple[int, ...]) -> ExperimentSpec:
    """Return the pilot's design, all pipelines on each branch."""
    fraction = MORE_STEPS / max(steps)
    one_shot = [{"name": f"p{p}", "stages": [{"prune": {"sparsity": p / 100}}]} for p in PRUNED]
    tuned = [
        {"name": f"p{p}-tuned", "stages": [{"prune": {"sparsity": p / 100}}, {"finetune": {"fraction": fraction}}]}
        for p in TUNED
    ]
    quantized = [{"name": f"int{bits}", "stages": [{"quantize": {"weightBits": bits}}]} for bits in QUANTIZED]
    return ExperimentSpec.model_validate(
        {
            "task": {"language": {"corpus": {"uri": str(corpus)}, "contextLength": 64}},
            "sweep": {
                "model": {"parameters": [143_000]},
                "data": {"tokens": [n * TOKENS_A_STEP for n in steps]},
                "compression": [{"name": "dense"}, *quantized, *one_shot, *tuned],
            },
            "training": {"batchSize": 32, "warmupSteps": 100, "evaluationSequences": 4096},
        }
    )


def losses(corpus: Path, folder: Path, steps: tuple[int, ...] = STEPS) -> dict[tuple[int, str], float]:
    """Return the loss of each point by (steps of its dense model, pipeline); pipelines on the longest branch alone."""
    spec = experiment(corpus, steps)
    found = fingerprint(spec.task.language.corpus) if spec.task.language else ""
    context = TrialContext(task=spec.task, training=spec.training, corpus_fingerprint=found, folder=folder)
    trials = plan_trials(spec, corpus_fingerprint=found).trials
    by_id = {trial.id: trial for trial in trials}

    def dense_steps(trial: TrialSpec) -> int:
        return trial.end_step if trial.kind is TrialKind.DENSE else by_id[trial.parents[0]].end_step

    results = {}
    for trial in trials:
        is_compressed = trial.kind in {TrialKind.CONTROL, TrialKind.PIPELINE}
        if is_compressed and dense_steps(trial) != max(steps):
            continue
        loss = run_trial(trial, context).metrics.loss
        if loss is not None:
            results[dense_steps(trial), trial.pipeline.name] = loss
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        out = given.out or Path(temporary)
        found = losses(library_source(Path(temporary) / "library.txt"), out)
    longest = max(STEPS)
    dense = found[longest, "dense"]
    print("branch: loss (pilot)")
    for steps, pilot in BRANCHES.items():
        print(f"  {steps:5d} steps  {found[steps, 'dense']:.3f} ({pilot:.3f})")
    control = next(name for _, name in found if name.startswith("control"))
    print(f"change in loss (pilot), from {dense:.3f}; control {found[longest, control] - dense:+.4f}")
    rows = [(f"int{bits}", pilot) for bits, pilot in QUANTIZED.items()]
    rows += [(f"p{percent}", pilot) for percent, pilot in PRUNED.items()]
    rows += [(f"p{percent}-tuned", pilot) for percent, pilot in TUNED.items()]
    for name, pilot in rows:
        print(f"  {name:10s}  {found[longest, name] - dense:+.4f} ({pilot:+.4f})")


if __name__ == "__main__":
    main()

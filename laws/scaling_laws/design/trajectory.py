"""One trunk and all that hangs on it: segments, decay branches, pipelines and their controls.

The trunk trains at constant rate; at (1 - decay) of each asked number of steps a branch leaves it and decays to a
dense point (warmup-stable-decay: Hu et al. 2024, arXiv:2404.06395; Hägele et al. 2024, arXiv:2405.18392). Training
is thus (1-d)·D_max + d·ΣD instead of ΣD.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from scaling_api.v1alpha1.compression import Finetune, Pipeline, Stage
from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_api.v1alpha1.sweep import ComputeLevel, Treatment
from scaling_api.v1alpha1.trial import ModelShape, ParameterCounts, TrialKind, TrialSpec
from scaling_laws.design.flops import training_flops_per_token
from scaling_laws.design.identity import branch_identity, pipeline_identity, segment_identity, trunk_identity

DENSE = Pipeline(name="dense")


@dataclass(frozen=True)
class Trajectory:
    """A model, the data it sees, the world that trains it, and the steps at which it is wanted."""

    base: str
    """Hash of what all trunks of the experiment share."""
    shape: ModelShape
    counts: ParameterCounts
    steps: tuple[int, ...]
    """Steps of the dense points, ascending."""
    treatment: Treatment
    compute: ComputeLevel
    hardware: str | None
    seed: int

    @cached_property
    def trunk(self) -> str:
        """Its identity."""
        return trunk_identity(
            self.base, self.shape, treatment=self.treatment, compute=self.compute,
            hardware=self.hardware, seed=self.seed,
        )  # fmt: skip


def trajectory_trials(trajectory: Trajectory, spec: ExperimentSpec) -> Iterator[TrialSpec]:
    """Yield the trajectory's trials, parents before children."""
    make = _Maker(trajectory, spec)
    parents: tuple[str, ...] = ()
    position = 0
    for steps in trajectory.steps:
        leaves_at = steps - max(1, round(spec.training.decay_fraction * steps))
        if leaves_at > position:
            segment = make.segment(position, leaves_at, parents)
            yield segment
            parents, position = (segment.id,), leaves_at
        dense = make.branch(leaves_at, steps, parents)
        yield dense
        yield from make.compressed(dense)


class _Maker:
    """Builds trials of one trajectory."""

    def __init__(self, trajectory: Trajectory, spec: ExperimentSpec) -> None:
        assert spec.task.language is not None
        self.trajectory = trajectory
        self.spec = spec
        self.tokens_per_step = spec.training.batch_size * spec.task.language.context_length
        self.flops_per_token = training_flops_per_token(trajectory.shape, trajectory.counts)

    def segment(self, start: int, end: int, parents: tuple[str, ...]) -> TrialSpec:
        trial_id = segment_identity(self.trajectory.trunk, end=end)
        return self._trial(trial_id, TrialKind.TRUNK, parents, start, end, pipeline=DENSE, control=None)

    def branch(self, start: int, end: int, parents: tuple[str, ...]) -> TrialSpec:
        trial_id = branch_identity(
            self.trajectory.trunk, start=start, end=end,
            evaluation_sequences=self.spec.training.evaluation_sequences,
        )  # fmt: skip
        return self._trial(trial_id, TrialKind.DENSE, parents, start, end, pipeline=DENSE, control=None)

    def compressed(self, dense: TrialSpec) -> Iterator[TrialSpec]:
        """Yield each pipeline on `dense`, each distinct control once, before the pipelines that it controls."""
        made = {dense.id}
        for pipeline in self.spec.sweep.compression:
            if not pipeline.stages:
                continue
            control = dense
            if pipeline.extra_fraction > 0:
                control = self._on(dense, _control_of(pipeline), TrialKind.CONTROL, control=None)
            is_control = pipeline.stages == control.pipeline.stages
            for trial in (control, *(() if is_control else (self._compressed(dense, pipeline, control),))):
                if trial.id not in made:
                    made.add(trial.id)
                    yield trial

    def _compressed(self, dense: TrialSpec, pipeline: Pipeline, control: TrialSpec) -> TrialSpec:
        return self._on(dense, pipeline, TrialKind.PIPELINE, control=control.id)

    def _on(self, dense: TrialSpec, pipeline: Pipeline, kind: TrialKind, *, control: str | None) -> TrialSpec:
        extra = _extra_steps(pipeline, dense.end_step)
        start, end = dense.end_step, dense.end_step + extra
        trial_id = pipeline_identity(dense.id, pipeline)
        return self._trial(trial_id, kind, (dense.id,), start, end, pipeline=pipeline, control=control)

    def _trial(
        self, trial_id: str, kind: TrialKind, parents: tuple[str, ...], start: int, end: int,
        *, pipeline: Pipeline, control: str | None,
    ) -> TrialSpec:  # fmt: skip
        t = self.trajectory
        step_flops = self.flops_per_token * self.tokens_per_step
        # model_construct: every value comes from validated ones, and plans hold up to 10,000 trials
        return TrialSpec.model_construct(
            id=trial_id, kind=kind, task=self.spec.task.name, parents=parents, control=control,
            trajectory=t.trunk[:16], model=t.shape, parameters=t.counts, tokens=end * self.tokens_per_step,
            start_step=start, end_step=end, flops=(end - start) * step_flops, cumulative_flops=end * step_flops,
            treatment=t.treatment, pipeline=pipeline, compute=t.compute, seed=t.seed,
        )  # fmt: skip


def _extra_steps(pipeline: Pipeline, parent_steps: int) -> int:
    return sum(max(1, round(op.fraction * parent_steps)) for op in _trained(pipeline))


def _trained(pipeline: Pipeline) -> Iterator[Finetune]:
    """The stages that train, as plain fine-tuning: what a control does instead."""
    for stage in pipeline.stages:
        operation = stage.operation
        fraction = getattr(operation, "fraction", None) or getattr(operation, "aware", None)
        if fraction:
            yield Finetune(fraction=fraction)


def _control_of(pipeline: Pipeline) -> Pipeline:
    stages = tuple(Stage(finetune=operation) for operation in _trained(pipeline))
    percent = "-".join(f"{100 * op.fraction:g}".replace(".", "p") for op in _trained(pipeline))
    return Pipeline(name=f"control-{percent}", stages=stages)

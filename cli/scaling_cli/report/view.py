"""Everything that the report shows, gathered once: results, the law that the charts draw, scales of colour."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from scaling_api.v1alpha1 import ScalingExperiment
from scaling_api.v1alpha1.laws import ParameterConvention
from scaling_api.v1alpha1.status import PlanStatus
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_cli.report.evidence import (
    DensePoint,
    StoredModel,
    dense_points,
    fitted_points,
    size_labels,
    stored_models,
)
from scaling_cli.report.surface import Compute, DenseLaw, compute_of, dense_law
from scaling_cli.report.theme import Scale, pipeline_scale, size_scale
from scaling_laws.analysis import Analysis, FittedLaw, PipelineLaw
from scaling_laws.law import Law
from scaling_laws.points import Points
from scaling_laws.records import canonical


@dataclass(frozen=True)
class Measured:
    """What the run itself took."""

    plan: PlanStatus | None = None
    wall_time_s: float | None = None
    gemm_gflops: float | None = None


@dataclass(frozen=True)
class ReportView:
    """What the report is made from."""

    experiment: ScalingExperiment
    records: Sequence[TrialRecord]
    analysis: Analysis
    measured: Measured

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.experiment.metadata.name

    @cached_property
    def trials(self) -> tuple[TrialRecord, ...]:
        """One record a trial."""
        return canonical(self.records)

    @cached_property
    def primary(self) -> FittedLaw | None:
        """The law that the charts draw: the first that is a surface over N and D, else the first there is."""
        fitted = [entry for entry in self.analysis.laws if entry.law is not None]
        return next((entry for entry in fitted if dense_law(entry.law) is not None), fitted[0] if fitted else None)

    @property
    def law(self) -> Law | None:
        """The law that the charts draw."""
        return self.primary.law if self.primary else None

    @cached_property
    def surface(self) -> DenseLaw | None:
        """The same law as a surface over N and D."""
        return dense_law(self.law)

    @property
    def convention(self) -> ParameterConvention:
        """What N counts in charts of the dense law."""
        return self.primary.request.parameters if self.primary else ParameterConvention.MATMUL

    @cached_property
    def fitted(self) -> Points:
        """The dense points of the first treatment."""
        treatment = self.experiment.spec.sweep.data.treatments[0].name
        return fitted_points(self.trials, convention=self.convention, treatment=treatment)

    @cached_property
    def points(self) -> list[DensePoint]:
        """All dense results, smallest model first."""
        return dense_points(self.trials, self.fitted, convention=self.convention, law=self.surface)

    @cached_property
    def compute(self) -> Compute | None:
        """FLOPs a token."""
        return compute_of(self.fitted)

    @cached_property
    def models(self) -> list[StoredModel]:
        """All results with known stored bytes."""
        return stored_models(self.trials)

    @cached_property
    def sizes(self) -> Scale:
        """Colours of model sizes."""
        return size_scale(size_labels((p.N for p in self.points), (p.N for p in self.analysis.pipeline_points)))

    @cached_property
    def pipelines(self) -> Scale:
        """Colours of pipelines, in the order of the spec."""
        asked = [p.name for p in self.experiment.spec.sweep.compression]
        found = [*(m.pipeline for m in self.models), *(p.pipeline for p in self.analysis.pipeline_points)]
        return pipeline_scale(list(dict.fromkeys([*asked, *found])))

    @property
    def pipeline_laws(self) -> tuple[PipelineLaw, ...]:
        """Penalties of the pipelines in the order of the spec, of the first law that has them."""
        laws = next((entry.pipelines for entry in self.analysis.laws if entry.pipelines), ())
        order = self.pipelines.domain
        return tuple(sorted(laws, key=lambda law: order.index(law.pipeline)))

"""The status: counted, short for people, full for programs, and never above 64 KiB."""

import json

import pytest
from scene import NOW, record, scene

from scaling_api.v1alpha1.status import (
    Answer,
    Coefficient,
    Condition,
    ExperimentStatus,
    FindingStatus,
    Interval,
    LawStatus,
    Spent,
    TrialState,
)
from scaling_operator.status import LARGEST_STATUS_BYTES, status_manifest, summarise, within_limit


def size(status: ExperimentStatus) -> int:
    return len(json.dumps(status_manifest(status)).encode())


def law(**fields: object) -> LawStatus:
    usual = {"name": "chinchilla", "form": "Chinchilla", "points": 32}
    return LawStatus.model_validate({**usual, **fields}, by_name=True)


ALPHA = Coefficient(name="alpha", value=0.34123456789012345, standard_error=0.05, lower=0.2512, upper=0.4721)
BETA = Coefficient(name="beta", value=0.28, lower=0.21, upper=0.3599)
E = Coefficient(name="E", value=1.69, lower=1.5, upper=1.8)


@pytest.mark.parametrize(
    ("laws", "says"),
    [
        ((), ""),
        ((law(refused="Too few points."),), ""),
        ((law(coefficients=(E, ALPHA, BETA)),), "α 0.34 [0.25, 0.47], β 0.28 [0.21, 0.36]"),
        ((law(coefficients=(ALPHA.model_copy(update={"lower": None}),)),), "α 0.34"),
        ((law(refused="x"), law(name="b", coefficients=(E,))), "E 1.7 [1.5, 1.8]"),
        (
            (law(form="Linear", coefficients=(Coefficient(name="const", value=3.0),
                                              Coefficient(name="log(N)", value=-0.0712))),),
            "log(N) -0.071",
        ),
    ],
)  # fmt: skip
def test_the_first_fitted_law_in_short(laws: tuple[LawStatus, ...], says: str) -> None:
    assert summarise(ExperimentStatus(laws=laws), {}, None).summary.law == says


def test_a_law_that_was_refused_is_said_once_no_more_trials_will_come() -> None:
    waiting = ExperimentStatus(laws=(law(refused="There are 6 points, and 8 are needed."),))
    assert summarise(waiting, {}, None).summary.law == ""
    over = waiting.model_copy(update={"finished_at": NOW})
    assert summarise(over, {}, None).summary.law == "refused: There are 6 points, and 8 are needed."


def test_numbers_of_laws_keep_their_full_precision() -> None:
    status = within_limit(summarise(ExperimentStatus(laws=(law(coefficients=(ALPHA,)),)), {}, None))
    read = ExperimentStatus.model_validate_json(json.dumps(status_manifest(status)))
    assert read == status
    assert read.laws[0].coefficients[0].value == 0.34123456789012345


def test_trials_are_counted_by_state_over_the_plan_alone() -> None:
    at = scene()
    assert at.observed.plan is not None
    plan = at.observed.plan.plan
    states = [TrialState.SUCCEEDED, TrialState.CACHED, TrialState.FAILED, TrialState.DIVERGED, TrialState.RUNNING]
    states += [TrialState.INTERRUPTED, TrialState.PENDING]
    records = {trial.id: record(trial, state) for trial, state in zip(at.trials, states, strict=False)}
    gone = at.trials[0].model_copy(update={"id": "f" * 16})
    records["f" * 16] = record(gone, TrialState.SUCCEEDED)
    counts = summarise(at.passed().status, records, plan).trials
    assert (counts.succeeded, counts.failed, counts.diverged, counts.running, counts.pending) == (2, 1, 1, 1, 3)
    assert summarise(at.passed().status, records, plan).summary.trials == "4/8"


def test_a_trunks_loss_is_no_best_loss() -> None:
    at = scene()
    assert at.observed.plan is not None
    trunk, dense = at.trials[0], at.trials[1]
    low = record(trunk, TrialState.SUCCEEDED)
    metrics = low.status.metrics.model_copy(update={"loss": 0.01})
    low = low.model_copy(update={"status": low.status.model_copy(update={"metrics": metrics})})
    records = {trunk.id: low, dense.id: record(dense, TrialState.SUCCEEDED)}
    summary = summarise(at.passed().status, records, at.observed.plan.plan)
    assert summary.best_loss == records[dense.id].status.metrics.loss


def test_what_was_spent_in_short() -> None:
    spent = Spent(training_flops=1.234e15, accelerator_seconds=12_345.0, cost=6.789)
    assert summarise(ExperimentStatus(spent=spent), {}, None).summary.spent == "1.23e+15 FLOPs, 3.43 h, cost 6.79"
    assert summarise(ExperimentStatus(), {}, None).summary.spent == ""
    little = Spent(training_flops=2e10, accelerator_seconds=15.0)
    assert summarise(ExperimentStatus(spent=little), {}, None).summary.spent == "2.00e+10 FLOPs, 0.0042 h"


def largest(letter: str) -> ExperimentStatus:
    """Return the largest status that the models allow."""
    finding = FindingStatus(code=letter * 63, message=letter * 1024)
    number = Interval(value=1 / 3, lower=1 / 3, upper=1 / 3)
    laws = [
        LawStatus(
            name=f"law-{i}", form=letter * 63, formula=letter * 256, points=10**6, findings=(finding,) * 32,
            coefficients=tuple(
                Coefficient(name=f"{letter * 50}{c}", value=1 / 3, standard_error=1 / 3, lower=1 / 3, upper=1 / 3)
                for c in range(64)
            ),
        )
        for i in range(16)
    ]  # fmt: skip
    answer = Answer(
        law=letter * 63, question="trainingFlops", at=1e21, parameters=number, tokens=number, loss=number,
        tokens_per_parameter=number, training_flops=1e21, findings=(finding,) * 8, refused=letter * 1024,
    )  # fmt: skip
    conditions = [
        Condition.model_validate(
            {"type": f"T{i}", "status": "True", "reason": "R", "message": letter * 1024,
             "lastTransitionTime": "2026-11-30T12:00:00Z"}
        )
        for i in range(8)
    ]  # fmt: skip
    return ExperimentStatus(laws=tuple(laws), answers=(answer,) * 256, conditions=tuple(conditions))


@pytest.mark.parametrize("letter", ["x", "é", "α", "😀", '"'])
def test_no_status_is_above_64_kib(letter: str) -> None:
    status = largest(letter)
    assert size(status) > 4 * LARGEST_STATUS_BYTES
    small = within_limit(status)
    assert len(json.dumps(status_manifest(small), ensure_ascii=False).encode()) <= LARGEST_STATUS_BYTES
    assert small.left_out is not None
    assert small.left_out.endswith(".")
    assert len(small.laws) == 16
    assert all(len(law.coefficients) >= 8 for law in small.laws) or letter == "😀"
    assert within_limit(small) == small, "cutting again changes nothing"


def test_least_is_cut_first_and_nothing_where_it_fits() -> None:
    some = ExperimentStatus(laws=(law(coefficients=(ALPHA,)),))
    assert within_limit(some) == some
    findings = tuple(FindingStatus(code="A", message="x" * 1000) for _ in range(32))
    wordy = ExperimentStatus(laws=tuple(law(name=f"l{i}", coefficients=(ALPHA,), findings=findings) for i in range(4)))
    cut = within_limit(wordy)
    assert cut.left_out is not None
    assert all(len(law.findings) == 32 for law in cut.laws)
    assert all(len(finding.message) <= 160 for law in cut.laws for finding in law.findings)

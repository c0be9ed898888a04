"""The whole way from records to laws, answers and statuses."""

import json
import math
import random

import pytest
from pydantic import BaseModel

from scaling_api.v1alpha1.status import Answer, ExperimentStatus, LawStatus, TrialState
from scaling_api.v1alpha1.trial import TrialKind
from scaling_laws.analysis import analyse
from scaling_laws.law import FindingCode

LAWS = [
    {"name": "chinchilla", "form": "Chinchilla", "bootstrap": 200},
    {"name": "factors", "form": "Linear", "bootstrap": 200},
    {"name": "pillars", "form": "Joint", "bootstrap": 200},
]
ASK = {"trainingFlops": [1e13, 1e18], "servingMemory": ["48Ki", "1Gi"]}


@pytest.fixture
def full(sweep):
    sweep.pipelines = {
        "int4": lambda N, D, M: 0.02,
        "int3": lambda N, D, M: 0.1 * (D / 1e6) ** 0.8 * (N / 3e4) ** -0.3,
        "p50": lambda N, D, M: 0.03,
    }
    sweep.per_token = lambda N: 6.0 * N + 3000.0 * N**0.5
    return sweep


def lost(records, chosen, state=TrialState.DIVERGED):
    def end(record):
        metrics = record.status.metrics.model_copy(update={"loss": None})
        return record.model_copy(
            update={"status": record.status.model_copy(update={"state": state, "metrics": metrics})}
        )

    return [end(r) if chosen(r) else r for r in records]


def check_status(analysis):
    """Every value must survive the API's validation and JSON, which knows neither NaN nor infinity."""
    status = ExperimentStatus(laws=analysis.law_statuses, answers=analysis.answers)
    text = status.model_dump_json()
    json.loads(text, parse_constant=pytest.fail)
    assert ExperimentStatus.model_validate_json(text) == status
    return status


def test_the_truth_is_recovered_and_every_question_answered(full, truth):
    analysis = analyse(full.spec(laws=LAWS, ask=ASK), full.records())
    chinchilla, linear, joint = analysis.laws
    assert [entry.refused for entry in analysis.laws] == [None, None, None]
    for name, value in truth.items():
        estimate = next(c for c in chinchilla.law.coefficients if c.name == name)
        assert estimate.lower < value < estimate.upper
    assert joint.law is chinchilla.law
    assert {p.pipeline: p.used.form for p in joint.pipelines}["int3"] == "Additive"
    assert {c.name for c in linear.law.coefficients} >= {"log(N)", "log(D)", "pipeline=int3"}
    assert [(a.law, a.question) for a in analysis.answers] == [
        *[("chinchilla", "trainingFlops"), ("pillars", "trainingFlops")] * 2,
        *[("pillars", "servingMemory")] * 2,
    ]
    assert all(a.refused is None for a in analysis.answers)
    assert analysis.answers[0].parameters == analysis.answers[1].parameters
    assert len(analysis.dense) == 32
    assert len(analysis.pipeline_points) == 96
    assert analysis.excluded == ()
    assert analysis.backtests
    check_status(analysis)


def test_budgets_are_spent_by_the_sweeps_own_count_of_flops(full):
    analysis = analyse(full.spec(ask=ASK), full.records())
    answer = analysis.answers[0]
    N = answer.parameters.value
    assert answer.tokens.value == pytest.approx(1e13 / (6 * N + 3000 * N**0.5), rel=1e-6)
    assert answer.tokens_per_parameter.value == pytest.approx(answer.tokens.value / N)


def test_far_budgets_are_flagged_with_numbers_and_near_ones_are_not(full):
    near, far = analyse(full.spec(ask={"trainingFlops": [1e12, 1e18]}), full.records()).answers
    assert not near.findings
    (finding,) = far.findings
    assert finding.code == "ExtrapolationUntested"
    assert "C = 1e+18 lies" in finding.message


def test_serving_weighs_the_pipelines_under_the_largest_budget(full):
    analysis = analyse(full.spec(laws=LAWS, ask=ASK), full.records())
    small, large = analysis.answers[-2:]
    assert small.pipeline in {"int4", "int3"}
    assert small.training_flops == large.training_flops == 1e18
    no_budget = analyse(full.spec(laws=LAWS, ask={"servingMemory": ["48Ki"]}), full.records())
    assert no_budget.answers[0].training_flops == max(no_budget.dense.features["C"])


def test_a_chinchilla_law_serves_dense_models_only_and_says_so(full):
    (answer,) = analyse(full.spec(ask={"servingMemory": ["48Ki"]}), full.records()).answers
    assert answer.pipeline == "dense"
    assert answer.findings[0].code == "DenseOnly"


def test_the_order_of_records_changes_no_bit(full):
    records = full.records()
    shuffled = records.copy()
    random.Random(1).shuffle(shuffled)
    spec = full.spec(laws=LAWS, ask=ASK)
    one, other = (check_status(analyse(spec, r, seed=4)) for r in (records, shuffled))
    assert one == other
    assert check_status(analyse(spec, records, seed=5)) != one


def test_a_linear_law_alone_refuses_questions_with_a_reason(full):
    analysis = analyse(full.spec(laws=[LAWS[1]], ask=ASK), full.records())
    assert len(analysis.answers) == 4
    assert all("Chinchilla or Joint" in a.refused for a in analysis.answers)


@pytest.mark.parametrize(("law", "words"), [
    ({"form": "Broken"}, "no form Broken; the forms are"),
    ({"form": "Linear", "features": ["log(N)", "colour"]}, "colour"),
    ({"form": "Linear", "features": ["log(sparsity)"]}, "sparsity"),
])  # fmt: skip
def test_mistaken_requests_are_refused_with_a_sentence_and_the_others_fitted(full, law, words):
    laws = [{"name": "mistake", **law}, LAWS[0]]
    analysis = analyse(full.spec(laws=laws, ask=ASK), full.records())
    mistake, good = analysis.law_statuses
    assert words in mistake.refused
    assert good.refused is None
    assert mistake.findings[0].code == "InvalidRequest"


def nothing(sweep):
    return []


def one_size(sweep):
    sweep.widths = (32,)
    return sweep.records()


def one_token_count(sweep):
    sweep.tokens = (1_000_000,)
    return sweep.records()


def one_seed(sweep):
    sweep.seeds = 1
    return sweep.records()


def all_diverged(sweep):
    return lost(sweep.records(), lambda r: r.spec.kind is not TrialKind.TRUNK)


def only_trunks(sweep):
    return [r for r in sweep.records() if r.spec.kind is TrialKind.TRUNK]


def no_dense_loss(sweep):
    return lost(sweep.records(), lambda r: r.spec.kind is TrialKind.DENSE, TrialState.SUCCEEDED)


def negative_penalties(sweep):
    sweep.pipelines = dict.fromkeys(sweep.pipelines, lambda N, D, M: -0.01)
    return sweep.records()


def without_noise(sweep):
    sweep.noise = sweep.penalty_noise = 0.0
    return sweep.records()


def zero_loss(sweep):
    records = sweep.records()
    metrics = records[1].status.metrics.model_copy(update={"loss": 0.0})
    records[1] = records[1].model_copy(update={"status": records[1].status.model_copy(update={"metrics": metrics})})
    return records


def nothing_but_noise(sweep):
    rng = random.Random(8)
    noisy = []
    for r in sweep.records():
        loss = None if r.status.metrics.loss is None else rng.uniform(1, 5)
        metrics = r.status.metrics.model_copy(update={"loss": loss})
        noisy.append(r.model_copy(update={"status": r.status.model_copy(update={"metrics": metrics})}))
    return noisy


REFUSED = (nothing, one_size, one_token_count, all_diverged, only_trunks, no_dense_loss)
FITTED = (one_seed, negative_penalties, without_noise, zero_loss, nothing_but_noise)


@pytest.mark.parametrize("make", [*REFUSED, *FITTED], ids=lambda f: f.__name__)
def test_degenerate_sweeps_give_laws_or_reasons_and_never_raise(full, make):
    records = make(full)
    analysis = analyse(full.spec(laws=LAWS, ask=ASK), records)
    status = check_status(analysis)
    chinchilla, _, joint = status.laws
    assert len(status.answers) == 6
    for law in (chinchilla, joint):
        assert (law.refused is not None) == (make in REFUSED)
    if make in REFUSED:
        assert all(answer.refused.startswith("There is no law: ") for answer in status.answers)


def test_diverged_trials_stand_beside_the_law_and_among_the_excluded(full):
    records = lost(full.records(), lambda r: r.spec.kind is TrialKind.DENSE and r.spec.model.width == 64)
    analysis = analyse(full.spec(), records)
    assert analysis.laws[0].law.has(FindingCode.INFORMATIVE_MISSINGNESS)
    assert any("8 of 32 dense trials diverged" in sentence for sentence in analysis.excluded)


def test_a_refused_joint_law_still_shows_its_penalties(full):
    full.widths = (32,)
    joint = analyse(full.spec(laws=[LAWS[2]]), full.records()).laws[0]
    assert joint.law is None
    assert {p.pipeline: p.mean_penalty for p in joint.pipelines}["int4"] == pytest.approx(0.02, abs=0.005)


def test_other_treatments_stay_out_of_the_dense_law(full):
    clean = full.records()
    full.treatment = "noisy"
    spec = full.spec()
    both, alone = (analyse(spec, records) for records in (clean + full.records(), clean))
    assert both.laws[0].law.objective == alone.laws[0].law.objective
    assert "32 dense point(s) of treatment noisy" in " ".join(both.excluded)


def test_without_a_bootstrap_there_are_values_and_no_limits(full):
    laws = [{**law, "bootstrap": 0} for law in LAWS]
    status = check_status(analyse(full.spec(laws=laws, ask=ASK), full.records()))
    assert all(a.parameters.lower is None for a in status.answers)
    assert status.laws[0].coefficients[0].lower is None


def test_a_status_keeps_within_its_bounds_whatever_is_asked(full):
    full.pipelines = {}
    laws = [{"name": f"law-{i}", "form": "Joint", "bootstrap": 10 + i % 2} for i in range(16)]
    ask = {"trainingFlops": [1e13 * 1.1**i for i in range(64)], "servingMemory": []}
    analysis = analyse(full.spec(laws=laws, ask=ask), full.records())
    status = check_status(analysis)
    assert len(status.answers) == 256
    assert "1,024 answers" in " ".join(analysis.excluded)
    assert len(status.model_dump_json(exclude_none=True)) < 10 * 64 * 1024


def numbers(value):
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from numbers(getattr(value, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, float):
        yield value


def test_statuses_keep_full_precision(full):
    analysis = analyse(full.spec(laws=LAWS, ask=ASK), full.records())
    status = analysis.law_statuses[0]
    assert isinstance(status, LawStatus)
    assert [c.value for c in status.coefficients] == [c.value for c in analysis.laws[0].law.coefficients]
    assert all(math.isfinite(x) for a in analysis.answers for x in numbers(Answer.model_validate(a)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_random_sweeps_with_random_losses_and_gaps_never_raise(sweep, seed):
    rng = random.Random(seed)
    sweep.widths = rng.sample([16, 24, 32, 48, 64, 128, 512, 4096], rng.randint(1, 5))
    sweep.tokens = rng.sample([1000, 50_000, 500_000, 800_000, 2_000_000, 10**9, 10**12], rng.randint(1, 5))
    sweep.seeds, sweep.noise = rng.randint(1, 3), rng.choice([0, 1e-6, 0.004, 0.3])
    sweep.penalty_noise, size = rng.choice([0, 0.003, 0.5]), rng.choice([0, -0.05, 0.05, 5])
    growth, share = rng.choice([0, 0.01, 0.5]), rng.choice([0, 0.1, 0.5])
    sweep.pipelines = {
        name: lambda N, D, M: size * (D / N) ** growth for name in rng.sample(["int4", "int3", "p50"], 2)
    }
    records = lost(sweep.records(), lambda r: rng.random() < share, rng.choice(list(TrialState)))
    kept = [r for r in records if rng.random() < 0.9]
    rng.shuffle(kept)
    laws = [{**law, "bootstrap": rng.choice([0, 1, 2, 50])} for law in LAWS]
    ask = {"trainingFlops": [1.0, 1e13, 1e25], "servingMemory": ["1", "10k", "1G"]}
    check_status(analyse(sweep.spec(laws=laws, ask=ask), kept))

"""Attribution and trials to add as questions of spec.ask."""

import pytest

from scaling_api.v1alpha1 import ExperimentSpec
from scaling_api.v1alpha1.status import Answer, ExperimentStatus
from scaling_api.v1alpha1.trial import TrialKind, TrialRecord
from scaling_laws.analysis import analyse
from scaling_laws.answers.attribution import attribute
from scaling_laws.answers.corners import expected
from scaling_laws.answers.next_trials import next_trials
from scaling_laws.law import FindingCode
from scaling_laws.law_requests import unfittable

CHINCHILLA = {"name": "chinchilla", "form": "Chinchilla", "bootstrap": 200}
JOINT = {"name": "pillars", "form": "Joint", "bootstrap": 200}
SMALL, LARGE = {"parameters": "15k", "tokens": "0.6M"}, {"parameters": "100k", "tokens": "1.9M"}
FLOOR = 0.15
"""What the treatment `noisy` adds to the floor."""


@pytest.fixture
def compressed(sweep):
    sweep.pipelines = {"int4": lambda N, D, M: 0.05}
    return sweep


def both_treatments(sweep) -> tuple[list[TrialRecord], list[dict[str, str]]]:
    clean = sweep.records()
    sweep.treatment = "noisy"
    noisy = [
        record
        if record.status.metrics.loss is None
        else record.model_copy(
            update={
                "status": record.status.model_copy(
                    update={
                        "metrics": record.status.metrics.model_copy(update={"loss": record.status.metrics.loss + FLOOR})
                    }
                )
            }
        )
        for record in sweep.records()
    ]
    return [*clean, *noisy], [{"name": "clean"}, {"name": "noisy"}]


def with_treatments(spec: ExperimentSpec, treatments: list[dict[str, str]]) -> ExperimentSpec:
    raw = spec.model_dump(mode="json")
    raw["sweep"]["data"]["treatments"] = treatments
    return ExperimentSpec.model_validate(raw)


def parts_of(answer: Answer) -> dict[str, float]:
    assert answer.refused is None
    assert answer.change is not None
    found = {part.name: part.value for part in answer.parts}
    assert sum(found.values()) == pytest.approx(answer.change.value, abs=1e-12)
    return found


def test_a_change_of_size_and_tokens_is_that_of_the_law(sweep):
    ask = {"attribute": [{"from": SMALL, "to": LARGE}]}
    analysis = analyse(sweep.spec(laws=[CHINCHILLA], ask=ask), sweep.records())
    (answer,) = analysis.answers
    law = analysis.laws[0].law
    own = attribute(expected(law), {"N": 15e3, "D": 0.6e6}, {"N": 100e3, "D": 1.9e6}, level=law.level)
    assert parts_of(answer) == {"parameters": own.parts[0].value, "tokens": own.parts[1].value}
    assert (answer.change.lower, answer.change.upper) == (own.lower, own.upper)
    assert answer.models == "N 1.5e+04, D 6e+05 to N 1e+05, D 1.9e+06"
    assert (answer.question, answer.at, answer.law) == ("attribute", 1.0, "chinchilla")


def test_all_four_players_by_one_joint_law(compressed):
    records, treatments = both_treatments(compressed)
    change = {"from": {**SMALL, "treatment": "noisy", "pipeline": "int4"}, "to": LARGE}
    ask = {"attribute": [change]}
    spec = with_treatments(compressed.spec(laws=[CHINCHILLA, JOINT], ask=ask), treatments)
    analysis = analyse(spec, records)
    (answer,) = analysis.answers
    found = parts_of(answer)
    assert answer.law == "pillars"
    assert set(found) == {"parameters", "tokens", "treatment", "pipeline"}
    assert found["treatment"] == pytest.approx(-FLOOR, abs=0.02)
    assert found["pipeline"] == pytest.approx(-0.05, abs=0.01)
    assert found["parameters"] < 0
    assert found["tokens"] < 0
    names = [c.name for c in analysis.law_statuses[1].coefficients]
    assert "dE_noisy" in names
    assert "int4.c" in names or any(name.startswith("int4.") for name in names)


def test_what_no_law_depends_on_is_refused_with_what_to_add(compressed):
    ask = {"attribute": [{"from": {**SMALL, "pipeline": "int4"}, "to": SMALL}]}
    (answer,) = analyse(compressed.spec(laws=[CHINCHILLA], ask=ask), compressed.records()).answers
    assert "form Joint" in answer.refused
    assert answer.parts == ()
    (nothing,) = analyse(compressed.spec(laws=[CHINCHILLA], ask=ask), []).answers
    assert nothing.refused.startswith("There is no law")


def test_levels_that_the_sweep_lacks_are_found_before_anything_is_spent(compressed):
    pairs = [
        {"from": SMALL, "to": {**SMALL, "pipeline": "int4"}},
        {"from": {**SMALL, "pipeline": "int2"}, "to": {**SMALL, "treatment": "noisy"}},
        {"from": SMALL, "to": SMALL},
    ]
    found = [str(problem) for problem in unfittable(compressed.spec(laws=[JOINT], ask={"attribute": pairs}))]
    assert len(found) == 3
    assert "spec.ask.attribute[1].from.pipeline" in found[0]
    assert "there is no pipeline int2; the sweep has dense, int4" in found[0]
    assert "there is no treatment noisy" in found[1]
    assert "nothing differs" in found[2]


def test_corners_outside_of_the_sweep_are_flagged(sweep):
    far = {"parameters": "100M", "tokens": "1.9M"}
    ask = {"attribute": [{"from": SMALL, "to": LARGE}, {"from": SMALL, "to": far}]}
    inside, outside = analyse(sweep.spec(laws=[CHINCHILLA], ask=ask), sweep.records()).answers
    assert [f.code for f in inside.findings] == []
    assert [f.code for f in outside.findings] == [FindingCode.EXTRAPOLATION_UNTESTED]


def test_trials_to_add_are_those_of_the_law(sweep):
    records = sweep.records()
    analysis = analyse(sweep.spec(laws=[CHINCHILLA], ask={"nextTrials": [1e13, 1.0]}), records)
    some, none = analysis.answers
    own = next_trials(analysis.laws[0].law, analysis.dense, 1e13)
    assert some.training_flops == pytest.approx(own.target_flops)
    assert some.width == pytest.approx(own.width)
    assert [p.trials for p in some.proposals] == [row.trials for row in own.additions]
    assert some.proposals[-1].width < some.width
    assert sum(p.training_flops for p in some.proposals) <= 1e13
    assert none.proposals == ()
    assert "ask with more" in none.findings[0].message


def test_a_status_holds_them_in_few_bytes(compressed):
    records, treatments = both_treatments(compressed)
    ask = {
        "attribute": [{"from": {**SMALL, "treatment": "noisy", "pipeline": "int4"}, "to": LARGE}],
        "nextTrials": [1e14],
    }
    spec = with_treatments(compressed.spec(laws=[JOINT], ask=ask), treatments)
    status = ExperimentStatus(answers=analyse(spec, records).answers)
    text = status.model_dump_json(exclude_defaults=True)
    assert ExperimentStatus.model_validate_json(text) == status
    assert all(len(answer.model_dump_json(exclude_defaults=True)) < 4000 for answer in status.answers)


def test_the_same_records_in_any_order_give_the_same_answers(compressed):
    records = compressed.records()
    ask = {"attribute": [{"from": {**SMALL, "pipeline": "int4"}, "to": LARGE}], "nextTrials": [1e13]}
    spec = compressed.spec(laws=[JOINT], ask=ask)
    assert analyse(spec, records).answers == analyse(spec, records[::-1]).answers


def test_laws_of_something_else_than_the_loss_attribute_nothing(sweep):
    ask = {"attribute": [{"from": SMALL, "to": LARGE}]}
    law = {"name": "speed", "form": "Expression", "expression": "throughput = a*N^b*D^c", "bootstrap": 0}
    timed = [record for record in sweep.records() if record.spec.kind is not TrialKind.TRUNK]
    (answer,) = analyse(sweep.spec(laws=[law], ask=ask), timed).answers
    assert answer.refused

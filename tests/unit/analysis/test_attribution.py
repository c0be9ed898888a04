"""What is due to what between two models."""

from itertools import permutations

import numpy as np
import pytest

from scaling_laws.answers.attribution import attribute
from scaling_laws.answers.corners import Parts, expected
from scaling_laws.fit import IntervalOptions, fit_law
from scaling_laws.law import FindingCode
from scaling_laws.penalties import fit_pipeline
from scaling_laws.points import Points
from scaling_laws.records import PipelinePoint


def value(model):
    cost = {"dense": 0.0, "int4": 0.1}[model["pipeline"]] * np.sqrt(model["D"] / 1e9)
    return 1.7 + 400 / model["N"] ** 0.34 + 2000 / model["D"] ** 0.37 + cost, None


START = {"N": 1e8, "D": 1e9, "pipeline": "int4"}
END = {"N": 1e9, "D": 2e10, "pipeline": "dense"}


def test_parts_add_up_and_are_the_mean_over_all_orders():
    found = attribute(value, START, END)
    assert sum(part.value for part in found.parts) == pytest.approx(found.difference, abs=1e-14)
    assert found.difference == pytest.approx(value(END)[0] - value(START)[0])
    for part in found.parts:
        gains = []
        for order in permutations(END):
            model = dict(START)
            for name in order:
                before = value(model)[0]
                model[name] = END[name]
                if name == part.name:
                    gains.append(value(model)[0] - before)
        assert part.value == pytest.approx(np.mean(gains), abs=1e-14)


def test_the_interaction_is_what_the_players_do_together_alone():
    found = attribute(value, START, END)
    alone = sum(value({**START, name: END[name]})[0] - value(START)[0] for name in END)
    assert found.interaction == pytest.approx(found.difference - alone)
    one = attribute(value, START, {**START, "N": 1e9})
    assert one.interaction == 0
    assert [part.name for part in one.parts] == ["N"]


def grid() -> Points:
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e7, 1e9, 6), np.geomspace(1e9, 3e10, 6), indexing="ij"))
    loss = 1.7 + 400 / N**0.34 + 2000 / D**0.37
    return Points(
        N, D, loss * np.exp(0.003 * np.random.default_rng(0).standard_normal(36)), clusters=np.arange(36) // 6
    )


def test_limits_hold_the_truth_and_corners_outside_the_hull_are_flagged():
    points = grid()
    law = fit_law(points, intervals=IntervalOptions(draws=200))
    start, end = {"N": 2e7, "D": 2e9}, {"N": 5e8, "D": 2e10}
    found = attribute(expected(law), start, end, points=points)
    size = 400 / 5e8**0.34 - 400 / 2e7**0.34
    assert found.parts[0].value == pytest.approx(size, rel=0.01)
    assert found.parts[0].lower < found.parts[0].value < found.parts[0].upper
    assert found.lower < found.difference < found.upper
    assert found.findings == ()
    far = attribute(expected(law), start, {"N": 1e11, "D": 2e10}, points=points)
    (finding,) = far.findings
    assert finding.code is FindingCode.EXTRAPOLATION_UNTESTED
    assert "N 1e+11" in finding.message
    assert "N 2e+07" not in finding.message


def test_a_sweep_along_a_diagonal_does_not_surround_its_corners():
    N = np.geomspace(1e7, 1e9, 30)
    D = 20 * N * np.exp(0.1 * np.random.default_rng(1).standard_normal(30))
    points = Points(N, D, 1.7 + 400 / N**0.34 + 2000 / D**0.37)
    found = attribute(lambda m: (m["N"], None), {"N": 2e7, "D": 4e8}, {"N": 5e8, "D": 1e10}, points=points)
    assert "N 5e+08, D 4e+08" in found.findings[0].message


def test_a_linear_law_shares_out_levels_of_text():
    rng = np.random.default_rng(0)
    N, D = np.exp(rng.uniform(14, 20, 80)), np.exp(rng.uniform(18, 24, 80))
    pipeline = rng.choice(["dense", "int4"], 80)
    loss = 8 - 0.1 * np.log(N) - 0.15 * np.log(D) + 0.3 * (pipeline == "int4")
    points = Points(N, D, loss, features={"pipeline": pipeline})
    law = fit_law(points, "Linear")
    found = attribute(
        expected(law),
        {"N": 1e7, "D": 1e9, "pipeline": "int4"},
        {"N": 1e8, "D": 1e9, "pipeline": "dense"},
        points=points,
    )
    assert [p.value for p in found.parts] == pytest.approx([-0.1 * np.log(10), -0.3], abs=1e-9)
    with pytest.raises(ValueError, match="depends on pipeline"):
        attribute(expected(law), {"N": 1e7, "D": 1e9}, {"N": 1e8, "D": 1e9})


def test_treatments_of_a_data_quality_law():
    N, D = (np.tile(x, 2) for x in (grid().N, grid().D))
    names = np.repeat(["clean", "very-noisy"], 36)
    loss = 1.7 + 400 / N**0.34 + 2000 / D**0.37 + 0.2 * (names == "very-noisy")
    points = Points(N, D, loss, features={"treatment": names})
    law = fit_law(points, "DataQuality", intervals=IntervalOptions(draws=0))
    found = attribute(
        expected(law), {"N": 1e8, "D": 1e10, "treatment": "very-noisy"}, {"N": 1e8, "D": 1e10, "treatment": "clean"}
    )
    assert found.difference == pytest.approx(-0.2, abs=1e-6)


def test_penalties_of_pipelines_join_the_dense_law():
    law = fit_law(grid(), intervals=IntervalOptions(draws=50))
    points = [
        PipelinePoint(
            trial="a", pipeline="int4", treatment="clean", seed=0, N=N, D=D, cluster=int(N), loss=2.1, control_loss=2.0,
            penalty=0.1, stored_bytes=1.0, effective_bits=4.0, inference_flops=1.0,
        )
        for N in (1e7, 1e8, 1e9) for D in (1e9, 1e10, 3e10)
    ]  # fmt: skip
    value = expected(law, Parts(pipelines=[fit_pipeline("int4", points, dense=None)]))
    found = attribute(value, {"N": 1e8, "D": 1e10, "pipeline": "int4"}, {"N": 1e8, "D": 1e10, "pipeline": "dense"})
    assert found.difference == pytest.approx(-0.1, abs=1e-6)
    assert found.lower is not None
    with pytest.raises(ValueError, match="no penalty law of the pipeline int2"):
        value({"N": 1e8, "D": 1e10, "pipeline": "int2"})


def test_models_that_cannot_be_compared_are_named():
    with pytest.raises(ValueError, match="differ in nothing"):
        attribute(value, START, START)
    with pytest.raises(ValueError, match="D, pipeline is named for one of them alone"):
        attribute(value, {"N": 1.0}, END)
    many = {f"x{i}": 0.0 for i in range(9)}
    with pytest.raises(ValueError, match="differ in 9 quantities"):
        attribute(value, many, dict.fromkeys(many, 1.0))

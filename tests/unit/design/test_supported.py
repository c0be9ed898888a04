"""What cannot be trained in a place is refused by name, and what has no use on one machine is said."""

import subprocess
import sys
from typing import Any

import pytest

from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_laws.design.supported import Place, unsupported, unused

STAGE = "spec.sweep.compression[1].stages[0]"


def spec(changes: dict[str, Any]) -> ExperimentSpec:
    base: dict[str, Any] = {
        "task": {"language": {"corpus": {"python": {}}}},
        "sweep": {"model": {"parameters": [10_000]}, "data": {"tokens": [100_000]}},
    }
    sweep = base["sweep"] | changes.pop("sweep", {})
    return ExperimentSpec.model_validate(base | {"sweep": sweep} | changes)


def stages(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"sweep": {"compression": [{"name": "dense"}, {"name": "x", "stages": list(operations)}]}}


def test_a_limit_of_cost_on_a_cluster_needs_a_price() -> None:
    def notes(**execution: Any) -> tuple[str, ...]:
        return unused(spec({"budget": {"cost": 5}, "execution": execution}), place=Place.CLUSTER)

    assert "no pool has an hourlyPrice" in " ".join(notes(pools=[{"name": "a"}]))
    assert "only where the administrator's default pool has an hourlyPrice" in " ".join(notes())
    assert notes(pools=[{"name": "a", "hourlyPrice": 2.0}]) == ()
    assert unused(spec({"execution": {"pools": [{"name": "a"}]}}), place=Place.CLUSTER) == ()


def test_what_is_built_is_accepted() -> None:
    built = stages({"prune": {"sparsity": 0.5}}, {"finetune": {"fraction": 0.1}}, {"quantize": {"weightBits": 1}})
    assert unsupported(spec(built)) == ()
    assert unused(spec({})) == ()


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"task": {"vision": {"uri": "x"}}}, "spec.task.vision"),
        (stages({"prune": {"sparsity": 0.5, "method": "Wanda"}}), f"{STAGE}.prune.method"),
        (stages({"prune": {"sparsity": 0.5, "method": "TwoOfFour"}}), f"{STAGE}.prune.method"),
        (stages({"prune": {"sparsity": 0.5, "method": "Structured"}}), f"{STAGE}.prune.method"),
        (stages({"distill": {"fraction": 0.5}}), "spec.sweep.compression[1].stages[0].distill"),
        (
            stages({"finetune": {"fraction": 0.5}}, {"quantize": {"weightBits": 4, "activationBits": 8}}),
            "spec.sweep.compression[1].stages[1].quantize.activationBits",
        ),
        (stages({"quantize": {"weightBits": 4, "aware": 0.2}}), "spec.sweep.compression[1].stages[0].quantize.aware"),
        ({"sweep": {"compute": [{"workers": 4}]}}, "spec.sweep.compute[0].workers"),
        ({"sweep": {"compute": [{"strategy": "FSDP"}]}}, "spec.sweep.compute[0].strategy"),
        ({"training": {"precision": "BF16"}}, "spec.training.precision"),
    ],
)  # fmt: skip
def test_what_is_not_built_is_refused_by_its_path(changes: dict[str, Any], path: str) -> None:
    (problem,) = unsupported(spec(changes))
    assert problem.path == path
    assert len(problem.message) > 20


@pytest.mark.parametrize("place", [Place.RAY, Place.CLUSTER])
def test_ray_trains_a_model_with_several_workers(place: Place) -> None:
    assert unsupported(spec({"sweep": {"compute": [{"workers": 4}]}}), place=place) == ()
    (problem,) = unsupported(spec({"sweep": {"compute": [{"workers": 4, "strategy": "FSDP"}]}}), place=place)
    assert problem.path == "spec.sweep.compute[0].strategy"
    (problem,) = unsupported(spec({"sweep": {"compute": [{"strategy": "FSDP"}]}}), place=place)
    assert "there is one" in problem.message


@pytest.mark.parametrize("place", Place)
def test_budgets_and_suspension_are_for_every_place(place: Place) -> None:
    asked = {"budget": {"wallTime": "1h", "cost": 5}, "suspend": True}
    assert unsupported(spec(dict(asked)), place=place) == ()


def test_a_limit_of_money_without_a_price_is_said_to_have_no_effect() -> None:
    priced = {"pools": [{"name": "a100", "hourlyPrice": 2.0}]}
    assert "spec.budget.cost has no effect" in " ".join(unused(spec({"budget": {"cost": 5}})))
    assert "spec.budget.cost" not in " ".join(unused(spec({"budget": {"cost": 5}, "execution": priced})))


def test_every_mistake_is_named() -> None:
    wrong = stages({"distill": {"fraction": 0.5}}) | {"training": {"precision": "BF16"}}
    assert len(unsupported(spec(wrong))) == 2


def test_settings_of_a_cluster_are_said_to_have_no_effect() -> None:
    execution = {"pools": [{"name": "a100", "accelerator": {}}], "image": "x", "queueName": "q"}
    sentences = unused(spec({"execution": execution, "ttlSecondsAfterFinished": 60}))
    assert len(sentences) == 4
    assert "a100" in sentences[0]
    assert "this machine's CPU" in sentences[0]


@pytest.mark.parametrize("module", ["scaling_laws.design.supported", "scaling_trainer.data.corpus"])
def test_planning_needs_no_torch(module: str) -> None:
    code = f"import sys; sys.path[:] = {sys.path!r}; import {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0

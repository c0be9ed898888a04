"""The driver on Ray: the same rows, the same numbers as on this machine's processes."""

from collections.abc import Callable

import pytest
from driving import Driving, plan
from scripted_plan import family

from scaling_api.v1alpha1.execution import Execution, Pool, Resources

Make = Callable[..., Driving]


def test_a_sweep_on_ray_has_the_numbers_of_local_processes(driving: Make) -> None:
    pytest.importorskip("ray")
    execution = Execution(pools=(Pool(name="cpu", resources=Resources(cpu=2)),))
    sweep = plan(family(2), execution=execution)
    numbers = []
    for number, options in enumerate([(), ("--executor", "ray", "--ray-address", "local")]):
        driver = driving(storage=str(driving().folder / f"storage{number}"), options=options).started()
        driver.client.put(sweep)
        driver.finished(timeout_s=120)
        records = driver.client.records()
        numbers.append({id_: (record.status.state, record.status.metrics) for id_, record in records.items()})
        assert driver.client.state().spent.accelerator_seconds > 0
        assert driver.stop(sweep) == 0
    assert len(numbers[0]) == 12
    assert numbers[0] == numbers[1]

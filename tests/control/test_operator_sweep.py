"""An experiment from apply to coefficients: the real operator, API server and driver; trials by a script."""

from kuberay_stand_in import kuberay
from operators import Bed, experiment, running, wait_until


def test_a_sweep_runs_to_its_end(bed: Bed) -> None:
    bed.apply(experiment())
    with running(bed.operator()) as operator, kuberay(bed) as rays:
        wait_until(lambda: bed.condition("sweep", "Complete")[0] == "True", "the sweep is complete", timeout_s=90)
        status, trials = bed.status("sweep"), bed.trials("sweep")
        assert status["trials"]["succeeded"] == status["plan"]["trials"] == len(trials)
        assert {trial["status"]["state"] for trial in trials.values()} == {"Succeeded"}
        assert sorted(rays.trials_run()) == sorted(trials)
        assert operator.samples()

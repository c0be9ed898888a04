"""What goes wrong around the operator: other replicas, the API server, KubeRay, drivers that lie."""

import asyncio
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "operator_shell"))

from api_proxy import ApiProxy, api_proxy
from kuberay_stand_in import KubeRayStandIn, kuberay
from lying_driver import LyingDriver, endless, lying_driver, row, rows, state
from operators import Bed, OperatorProcess, experiment, running, wait_until

from scaling_api.driver_protocol import DriverPlan

FEW = {
    "model": {"parameters": ["10k", "20k"]},
    "data": {"tokens": ["0.6M", "0.8M"]},
    "limits": {"tokensPerParameter": {"min": 0}},
}


def wait_complete(bed: Bed, name: str = "sweep", *, timeout_s: float = 90) -> None:
    wait_until(lambda: bed.condition(name, "Complete")[0] == "True", f"{name} is complete", timeout_s=timeout_s)


def holder(bed: Bed) -> str:
    lease = bed.get("lease", "scaling-operator")
    return str(lease["spec"].get("holderIdentity", "")) if lease else ""


def test_of_two_replicas_one_leads_and_the_other_takes_over_when_told_or_after_a_kill(bed: Bed) -> None:
    first, second = bed.operator("operator-0"), bed.operator("operator-1")
    try:
        first.start().wait_ready()
        second.start()
        wait_until(lambda: "candidate" in second.page(second.probes, "/readyz")[1], "the second is a candidate")
        assert second.page(second.probes, "/readyz")[0] == 503
        assert second.page(second.probes, "/livez")[0] == 200
        bed.apply(experiment(suspend=True))
        wait_until(lambda: bed.status("sweep").get("plan"), "the plan is in the status")
        assert second.writes() == 0
        assert holder(bed) == "operator-0"
        code, seconds = first.stop()
        assert code == 0
        assert seconds <= 20
        second.wait_ready(timeout_s=14)  # sooner than the lease runs out: it was given back
        assert holder(bed) == "operator-1"
        first.start()
        wait_until(lambda: "candidate" in first.page(first.probes, "/readyz")[1], "the first is a candidate again")
        second.kill()
        first.wait_ready(timeout_s=30)  # the lease has run out
        bed.patch("sweep", {"sweep": FEW})
        wait_until(lambda: bed.status("sweep")["observedGeneration"] == 2, "the new leader works")
    finally:
        first.kill()
        second.kill()


def test_a_restarted_container_takes_its_own_lease_back_at_once(bed: Bed) -> None:
    operator = bed.operator()
    with running(operator):
        operator.kill()
        operator.start()
        wait_until(lambda: operator.page(operator.probes, "/livez")[0] == 200, "its process is up", timeout_s=60)
        operator.wait_ready(timeout_s=12)  # sooner than the lease runs out


@pytest.mark.slow
def test_a_leader_that_slept_while_another_took_over_writes_nothing_and_ends(bed: Bed) -> None:
    first, second = bed.operator("operator-0"), bed.operator("operator-1")
    try:
        first.start().wait_ready()
        second.start()
        bed.apply(experiment(suspend=True))
        wait_until(lambda: bed.status("sweep").get("plan"), "the plan is in the status")
        first.signal(signal.SIGSTOP)
        second.wait_ready(timeout_s=40)
        bed.apply(experiment("later", suspend=True))
        wait_until(lambda: bed.status("later").get("plan"), "the new leader works")
        versions = {item["metadata"]["resourceVersion"] for item in bed.get("scalingexperiments")}
        first.signal(signal.SIGCONT)
        process = first.process
        assert process is not None
        assert process.wait(20) == 1
        assert {item["metadata"]["resourceVersion"] for item in bed.get("scalingexperiments")} == versions
        assert holder(bed) == "operator-1"
    finally:
        first.kill()
        second.kill()


@pytest.fixture
def proxy(bed: Bed) -> Iterator[ApiProxy]:
    with api_proxy(bed.server, bed.folder) as found:
        yield found


@pytest.mark.slow
def test_an_api_server_that_goes_away_for_long_costs_nothing_but_time(bed: Bed, proxy: ApiProxy) -> None:
    operator = bed.operator(kubeconfig=proxy.kubeconfig)
    with running(operator), kuberay(bed, trial_s=0.3, lanes=2) as rays:
        process = operator.process
        bed.apply(experiment())
        wait_until(lambda: len(bed.trials("sweep")) > 3, "trials are recorded")
        proxy.take_away()
        time.sleep(20)  # longer than the lease
        assert operator.page(operator.probes, "/livez")[0] == 200
        before = len([t for t in bed.trials("sweep").values() if t["status"]["state"] == "Succeeded"])
        assert len(rays.trials_run()) > before + 5, "the driver went on meanwhile"
        proxy.put_back()
        done = set(rays.trials_run())
        wait_until(lambda: done <= bed.trials("sweep").keys(), "what ran meanwhile is recorded", timeout_s=10)
        wait_complete(bed)
        assert operator.process is process
        assert process is not None
        assert process.poll() is None
        assert sorted(rays.trials_run()) == sorted(bed.trials("sweep"))


def test_an_api_server_that_blinks_is_hardly_noticed(bed: Bed, proxy: ApiProxy) -> None:
    with running(bed.operator(kubeconfig=proxy.kubeconfig)), kuberay(bed, trial_s=0.2, lanes=2) as rays:
        bed.apply(experiment())
        for _ in range(5):
            time.sleep(0.7)
            proxy.take_away()
            time.sleep(0.3)
            proxy.put_back()
        wait_complete(bed)
        assert sorted(rays.trials_run()) == sorted(bed.trials("sweep"))


class Lies:
    """A lying driver in a thread, in the place of an experiment's head."""

    def __init__(self) -> None:
        self.driver: LyingDriver | None = None
        self._loop = asyncio.new_event_loop()
        self._is_up, self._over = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), daemon=True)
        self._thread.start()
        assert self._is_up.wait(10)

    async def _serve(self) -> None:
        async with lying_driver() as self.driver:
            self._is_up.set()
            await self._over.wait()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)
        self._loop.close()


@contextmanager
def lies_in_place_of(bed: Bed, rays: KubeRayStandIn) -> Iterator[LyingDriver]:
    """Let the operator find a liar where the head was; then the head again."""
    lies = Lies()
    try:
        assert lies.driver is not None
        place = next((bed.folder / "heads").iterdir())
        truth = place.read_text()
        place.write_text(lies.driver.url)
        touch(bed)
        yield lies.driver
        place.write_text(truth)
        touch(bed)
    finally:
        lies.close()


def touch(bed: Bed) -> None:
    """Have the operator look."""
    bed.server.must(
        "-n", bed.namespace, "annotate", "--overwrite", "scalingexperiment", "sweep", f"test/at={time.monotonic()}"
    )


def obedient(uid: str, **changes: Any) -> Any:
    """A state that says what the operator wants to hear."""
    taken: dict[str, Any] = {}

    async def answer(request: web.Request) -> web.Response:
        if request.method == "PUT":
            taken["planHash"] = DriverPlan.model_validate_json(await request.read()).hash
        return web.json_response(state(experiment=uid, **taken, **changes))

    return answer


OTHERS_ROW = row(1)


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param(rows(OTHERS_ROW), id="rows of unknown trials"),
        pytest.param(json.dumps(rows(OTHERS_ROW)).replace("1.25", "NaN"), id="NaN"),
        pytest.param(json.dumps(rows(OTHERS_ROW))[:-30], id="half a JSON", marks=pytest.mark.slow),
        pytest.param(endless, id="a hundred megabytes"),
        pytest.param(rows(OTHERS_ROW, epoch="000009-00000000"), id="another epoch", marks=pytest.mark.slow),
        pytest.param(
            web.Response(status=401, text='{"error": "Wrong token."}'), id="a wrong token", marks=pytest.mark.slow
        ),
    ],
)
def test_a_driver_that_lies_is_refused_and_the_experiment_goes_on(bed: Bed, lie: Any) -> None:
    with running(bed.operator()) as operator, kuberay(bed, trial_s=0.3, lanes=1) as rays:
        bed.apply(experiment(sweep=FEW))
        wait_until(rays.trials_run, "the first trial ran")
        uid = bed.get("scalingexperiment", "sweep")["metadata"]["uid"]
        with lies_in_place_of(bed, rays) as driver:
            driver.state = obedient(uid, lastRow=1)
            driver.rows = lie
            wait_until(lambda: len(driver.asked) > 6, "the liar is asked")
            time.sleep(1)
        wait_complete(bed)
        trials = bed.trials("sweep")
        assert sorted(trials) == sorted(rays.trials_run())
        assert OTHERS_ROW["record"]["spec"]["id"] not in trials
        assert operator.process is not None
        assert operator.process.poll() is None
        assert operator.rss_mib < 200
        lines = operator.log.read_text().splitlines()
        assert sum("refused" in line for line in lines) <= 2, "logged more than once"


def test_a_driver_of_another_experiment_is_told_nothing_and_believed_nothing(bed: Bed) -> None:
    with running(bed.operator()), kuberay(bed, trial_s=0.3, lanes=1) as rays:
        bed.apply(experiment(sweep=FEW))
        wait_until(rays.trials_run, "the first trial ran")
        with lies_in_place_of(bed, rays) as driver:
            driver.state = state(experiment="someone-elses-uid", phase="Finished", lastRow=1)
            driver.rows = rows(OTHERS_ROW)
            wait_until(lambda: len(driver.asked) > 6, "the liar is asked")
            time.sleep(1)
            assert bed.condition("sweep", "Complete")[0] == "False"
            assert OTHERS_ROW["record"]["spec"]["id"] not in bed.trials("sweep")
        wait_complete(bed)


def test_a_deaf_driver_does_not_keep_the_operator_from_anything(bed: Bed) -> None:
    with running(bed.operator()) as operator, kuberay(bed, trial_s=0.3, lanes=1) as rays:
        bed.apply(experiment(sweep=FEW))
        wait_until(rays.trials_run, "the first trial ran")
        with lies_in_place_of(bed, rays) as driver:

            async def never(_: web.Request) -> web.Response:
                await asyncio.sleep(3600)
                return web.Response()

            driver.state = never
            touch(bed)
            bed.apply(experiment("other", suspend=True))
            wait_until(lambda: bed.status("other").get("plan"), "another experiment is planned", timeout_s=10)
            assert operator.page(operator.probes, "/livez")[0] == 200
        wait_complete(bed)


def test_events_and_status_of_many_experiments_at_once(bed: Bed) -> None:
    count = 60
    with running(bed.operator(settings={"api": {"requestsPerSecond": 100, "burst": 200}})) as operator:
        began = time.monotonic()
        documents = [experiment(f"e{number}", sweep=FEW, suspend=True) for number in range(count)]
        listed = {"apiVersion": "v1", "kind": "List", "items": documents}
        bed.server.must("-n", bed.namespace, "apply", "--server-side", "-f", "-", document=json.dumps(listed))

        def planned() -> bool:
            found = bed.get("scalingexperiments")
            return sum("plan" in item.get("status", {}) for item in found) == count

        wait_until(planned, "all are planned", timeout_s=60)
        assert time.monotonic() - began < 45
        assert _samples_agree(operator, count)


def _samples_agree(operator: OperatorProcess, count: int) -> bool:
    return operator.samples()['scaling_experiments{condition="Accepted",status="True"}'] == count


@pytest.mark.slow
def test_a_secret_that_is_lost_beside_the_operator_keeps_no_cluster_for_ever(bed: Bed) -> None:
    operator = bed.operator()
    with running(operator), kuberay(bed, trial_s=1, lanes=1) as rays:
        bed.apply(experiment())
        wait_until(rays.trials_run, "the first trial ran")
        operator.kill()
        bed.server.must("-n", bed.namespace, "delete", "secret", "sweep-driver")
        operator.start().wait_ready()
        wait_until(lambda: bed.condition("sweep", "ClusterReady")[1] == "SecretMissing", "it is said")
        bed.patch("sweep", {"suspend": True})
        wait_until(lambda: not bed.get("rayjobs"), "the RayJob is gone", timeout_s=90)
        bed.patch("sweep", {"suspend": False})
        wait_complete(bed)
        assert sorted(set(rays.trials_run())) == sorted(bed.trials("sweep"))

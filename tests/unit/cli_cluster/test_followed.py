from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import quickstart_sweep as sweep
import written

from scaling_api.v1alpha1.status import TrialState
from scaling_cli.cluster.experiments import ClusterExperiment
from scaling_cli.cluster.following import EVENT, EXPERIMENT, TRIAL, Followed
from scaling_cli.cluster.refusals import RefusedError
from scaling_cli.cluster.waiting import is_at_rest
from scaling_cli.cluster.watching import Changed, Gone, Listed, Lost, Message, Refused
from scaling_cli.errors import CommandError, ExitCode
from scaling_cli.show.following import following_line
from scaling_cli.show.trial_names import describe

Made = Callable[..., ClusterExperiment]
NOW = sweep.NOW


@pytest.fixture
def followed(made: Made) -> Followed:
    return Followed(made(sweep.halfway().status), NOW)


def told(followed: Followed, *messages: Message) -> list[str]:
    return [sentence for message in messages for sentence in followed.take(message)]


def trial(followed: Followed, record: Any, uid: str = "u-1") -> dict[str, Any]:
    owner = {**followed.experiment.manifest, "metadata": {**followed.experiment.manifest["metadata"], "uid": uid}}
    return written.trial_manifest(owner, record)


def all_trials(followed: Followed) -> Listed:
    return Listed(TRIAL, tuple(trial(followed, record) for record in sweep.halfway().records))


def test_progress_is_told_from_the_trials(followed: Followed) -> None:
    assert told(followed, all_trials(followed)) == []
    assert len(followed.running) == 4
    done = sum(t.flops for t in sweep.plan()[:100]) / sum(t.flops for t in sweep.plan())
    assert followed.fraction == pytest.approx(done)
    assert "100 of 192 trials, 1 failed, 4 running" in following_line(followed, NOW)


def test_where_trials_may_not_be_read_their_counts_are_used(followed: Followed) -> None:
    error = RefusedError("You may not list them.", status=403)
    assert told(followed, Refused(TRIAL, error)) == ["Not shown: trials. You may not list them."]
    assert followed.fraction == pytest.approx(100 / 192)


def test_a_trial_that_fails_is_said_once(followed: Followed) -> None:
    told(followed, all_trials(followed))
    failed = sweep.in_state(sweep.plan()[100], TrialState.FAILED, attempts=2, failure=sweep.OUT_OF_MEMORY)
    change = Changed(TRIAL, trial(followed, failed))
    (sentence,) = told(followed, change, change)
    assert sentence.startswith(f"{describe(sweep.plan()[100])}: failed. The trial needs more memory")
    assert len(followed.running) == 3


def test_trials_of_a_former_experiment_of_the_name_do_not_count(followed: Followed) -> None:
    told(followed, Changed(TRIAL, trial(followed, sweep.finished(sweep.plan()[0]), uid="u-0")))
    assert not followed.trials


def test_a_list_takes_the_place_of_what_was_known(followed: Followed) -> None:
    told(followed, all_trials(followed), Listed(TRIAL, (trial(followed, sweep.finished(sweep.plan()[0])),)))
    assert len(followed.trials) == 1
    assert not followed.running


def test_the_time_left_follows_the_speed_that_was_seen(followed: Followed) -> None:
    told(followed, all_trials(followed))
    share = followed.fraction
    since_start = followed.seconds_left(NOW)
    assert since_start == pytest.approx(12 * 60 * (1 - share) / share)
    more = [sweep.finished(t) for t in sweep.plan()[100:150]]
    told(followed, *(Changed(TRIAL, trial(followed, record)) for record in more))
    left = followed.seconds_left(NOW + timedelta(seconds=60))
    assert left == pytest.approx(60 * (1 - followed.fraction) / (followed.fraction - share))


def test_no_time_is_promised_before_anything_was_seen(made: Made) -> None:
    fresh = Followed(made(sweep.status_of((), True_=("Accepted", "ClusterReady"))), NOW)
    assert fresh.seconds_left(NOW) is None


def test_warnings_are_said_once_and_older_ones_never(followed: Followed) -> None:
    about = {"kind": "Pod", "name": "quickstart-a1-k2x9p-head-aaaaa"}
    new = written.event_manifest(about, "Failed", "no such image", at="2026-11-23T12:00:05.000000Z")
    old = written.event_manifest(about, "Failed", "long ago", at="2026-11-23T11:00:00.000000Z")
    sentences = told(followed, Listed(EVENT, (old, new)), Changed(EVENT, new))
    assert sentences == ["Pod quickstart-a1-k2x9p-head-aaaaa: Failed: no such image"]


def test_a_lost_connection_is_said_once_until_it_is_back(followed: Followed) -> None:
    lost = Lost(EXPERIMENT, "The API server cannot be reached.")
    assert told(followed, lost, lost) == ["The API server cannot be reached. Trying again."]
    assert followed.lost
    told(followed, Changed(EXPERIMENT, followed.experiment.manifest))
    assert followed.lost is None
    assert len(told(followed, lost)) == 1


def test_a_deleted_experiment_ends_the_waiting(followed: Followed) -> None:
    told(followed, Gone(EXPERIMENT, followed.experiment.manifest))
    with pytest.raises(CommandError, match="quickstart was deleted meanwhile") as found:
        is_at_rest(followed)
    assert found.value.exit_code is ExitCode.TRIALS_FAILED


def test_another_experiment_of_the_name_is_not_this_one(followed: Followed) -> None:
    other = {**followed.experiment.manifest, "metadata": {**followed.experiment.manifest["metadata"], "uid": "u-2"}}
    told(followed, Changed(EXPERIMENT, other))
    assert followed.is_deleted
    assert followed.experiment.uid == "u-1"


def test_an_experiment_that_may_no_longer_be_read_ends_the_waiting(followed: Followed) -> None:
    with pytest.raises(RefusedError):
        told(followed, Refused(EXPERIMENT, RefusedError("You may not.", status=403)))

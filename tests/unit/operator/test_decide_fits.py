"""When laws are fitted, and what the status says of refused and failed fits."""

from scene import DriverPhase, answer, finished, hash_of, is_idle, record, row, running, stopped

from scaling_api.v1alpha1.status import LawStatus, TrialState
from scaling_operator.fitting import AnalysisAnswer


def test_laws_are_fitted_now_and_then_while_trials_run_and_always_at_the_end() -> None:
    begun = running({"sweep": {"seeds": 4}})
    at, wanted, points = begun, [], []
    for number, trial in enumerate(begun.trials, start=1):
        seen = row(number, record(trial, TrialState.SUCCEEDED))
        at = at.but(driver=answer(DriverPhase.RUNNING, [seen], plan_hash=hash_of(begun), read=number - 1))
        decision = at.decide()
        if decision.wants_analysis is not None:
            wanted.append(len(decision.wants_analysis.records))
            points.append(sum(r.status.metrics.loss is not None for r in decision.wants_analysis.records))
        at = at.settled()
    assert points[0] == 8, "trunks have no loss"
    assert wanted[-1] == len(begun.trials) == 32
    assert len(wanted) < 12


def test_an_analysis_that_is_known_is_not_asked_for_again() -> None:
    over = stopped(finished(running()))
    assert over.status.fitted is not None
    reopened = over.with_spec({"ttlSecondsAfterFinished": 10**6}).but(analysis=None)
    assert reopened.passed().decide().wants_analysis is None


def test_refused_laws_are_said_with_their_reasons() -> None:
    at = finished(running()).passed()
    wanted = at.decide().wants_analysis or finished(running()).decide().wants_analysis
    assert wanted is not None
    law = LawStatus(name="chinchilla", form="Chinchilla", points=0, refused="It has 4 points and needs 8.")
    refused = at.but(analysis=AnalysisAnswer(wanted.digest, trials=8, laws=(law,))).passed()
    assert refused.says("Fitted") == ("False", "LawRefused")
    assert "chinchilla: It has 4 points" in refused.condition("Fitted").message


def test_a_law_that_is_refused_while_trials_are_left_is_no_warning() -> None:
    begun = running({"sweep": {"seeds": 4}})
    rows = [row(n + 1, record(trial, TrialState.SUCCEEDED)) for n, trial in enumerate(begun.trials[:-1])]
    at = begun.but(driver=answer(DriverPhase.RUNNING, rows, plan_hash=hash_of(begun)))
    wanted = at.decide().wants_analysis
    assert wanted is not None
    law = LawStatus(name="chinchilla", form="Chinchilla", points=6, refused="There are 6 points.")
    early = at.passed().but(analysis=AnalysisAnswer(wanted.digest, trials=31, laws=(law,)))
    assert not [event for event in early.decide().events if event.type == "Warning"]
    assert early.passed().says("Fitted") == ("False", "WaitingForTrials")
    assert "There are 6 points." in early.passed().condition("Fitted").message


def test_the_end_says_that_no_law_could_be_fitted() -> None:
    at = finished(running()).passed()
    wanted = finished(running()).decide().wants_analysis
    assert wanted is not None
    law = LawStatus(name="chinchilla", form="Chinchilla", points=0, refused="It has 4 points and needs 8.")
    over = stopped(at.but(analysis=AnalysisAnswer(wanted.digest, trials=8, laws=(law,))))
    assert over.says("Complete") == ("True", "Completed")
    assert "no law could be fitted" in over.condition("Complete").message
    assert "laws and answers are made of them" in stopped(finished(running())).condition("Complete").message


def test_an_analysis_that_was_given_up_ends_nothing_and_is_not_tried_again() -> None:
    at = finished(running())
    wanted = at.decide().wants_analysis
    assert wanted is not None
    failed = AnalysisAnswer(wanted.digest, trials=8, failure="The analysis was given up: it took more than 600 s.")
    over = stopped(at.passed().but(analysis=failed))
    assert over.says("Fitted") == ("False", "AnalysisFailed")
    assert "600 s" in over.condition("Fitted").message
    assert over.says("Complete") == ("True", "Completed")
    assert is_idle(over.but(analysis=None, plan=None).later(10**5).decide())


def test_renamed_levels_are_fitted_under_their_new_names() -> None:
    begun = running({"sweep": {"data": {"tokens": [300_000, 600_000], "treatments": [{"name": "clean"}]}}})
    over = stopped(finished(begun))
    renamed = over.with_spec({"sweep": {"data": {"tokens": [300_000, 600_000], "treatments": [{"name": "pure"}]}}})
    wanted = renamed.passed().decide().wants_analysis
    assert wanted is not None
    assert {r.spec.treatment.name for r in wanted.records} == {"pure"}

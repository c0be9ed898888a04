"""The questions of `spec.ask`, answered by every law that can."""

from collections.abc import Iterator, Sequence

from scaling_api.v1alpha1.laws import Ask, AskedModel, Change, LawRequest
from scaling_api.v1alpha1.status import Answer, FindingStatus
from scaling_laws.answers.attribution import Model, attribute
from scaling_laws.answers.corners import Parts, dependencies, expected, predicts_loss
from scaling_laws.answers.flops import flops_per_token
from scaling_laws.answers.frontier import compute_optimal, refused_answer
from scaling_laws.answers.limits import FlopsLimit, LatencyLimit, Limit, MemoryLimit
from scaling_laws.answers.next_trials import next_trials
from scaling_laws.answers.serving import best_within, served_pipelines
from scaling_laws.answers.statuses import ATTRIBUTE, NEXT_TRIALS, attribution_answer, next_trials_answer
from scaling_laws.answers.surface import has_surface
from scaling_laws.answers.values import FINDINGS_OF_AN_ANSWER
from scaling_laws.bench import DENSE_FORM, JOINT, Bench, FittedLaw
from scaling_laws.design.trajectory import DENSE
from scaling_laws.law import FindingCode


def answers_of(bench: Bench, laws: Sequence[FittedLaw]) -> tuple[Answer, ...]:
    """Return the answers question by question."""
    able = [entry for entry in laws if _can_answer(entry)] or list(laws[:1])
    joint = [entry for entry in able if entry.request.form == JOINT]
    ask = bench.spec.ask
    budgets = [_optimal(bench, entry, flops) for flops in ask.training_flops for entry in able]
    served = [_served(bench, entry, limit) for limit in _limits(ask) for entry in joint or able]
    changes = _attributions(bench, laws)
    further = [_next(bench, entry, flops) for flops in ask.next_trials for entry in able]
    return (*budgets, *served, *changes, *further)


def _limits(ask: Ask) -> Iterator[Limit]:
    yield from (MemoryLimit(memory) for memory in ask.serving_memory)
    yield from (FlopsLimit(flops) for flops in ask.inference_flops)
    for latency in ask.latency:
        yield LatencyLimit(latency.seconds_per_token, latency.flops_per_second, latency.bytes_per_second)


def _can_answer(entry: FittedLaw) -> bool:
    return entry.request.form in {DENSE_FORM, JOINT} if entry.law is None else has_surface(entry.law)


def _optimal(bench: Bench, entry: FittedLaw, training_flops: float) -> Answer:
    request = entry.request
    if entry.law is None:
        return _no_law(entry, "trainingFlops", training_flops)
    rule = flops_per_token(bench.dense(request.parameters))
    answer = compute_optimal(entry.law, training_flops, level=entry.law.level, flops=rule, reach=entry.reach)
    return answer.model_copy(update={"law": request.name})


def _served(bench: Bench, entry: FittedLaw, limit: Limit) -> Answer:
    request = entry.request
    if entry.law is None:
        return _no_law(entry, limit.question, limit.at)
    answer = best_within(
        entry.law,
        limit,
        training_flops=bench.largest_budget(request.parameters),
        served=served_pipelines(
            bench.records, entry.pipelines, convention=request.parameters, treatment=bench.treatment
        ),
        level=entry.law.level,
        flops=flops_per_token(bench.dense(request.parameters)),
        reach=entry.reach,
        seed=bench.seed,
    )
    findings = (*_dense_only(bench, request), *answer.findings)[:FINDINGS_OF_AN_ANSWER]
    return answer.model_copy(update={"law": request.name, "findings": findings})


def _dense_only(bench: Bench, request: LawRequest) -> tuple[FindingStatus, ...]:
    """Say so where pipelines were swept and the law that answers knows nothing of them."""
    swept = any(pipeline.stages for pipeline in bench.spec.sweep.compression)
    if request.form == JOINT or not swept:
        return ()
    text = "This answer compares dense models only; add a law of form Joint to weigh the pipelines of the sweep."
    return (FindingStatus(code=FindingCode.DENSE_ONLY.value, message=text),)


def _attributions(bench: Bench, laws: Sequence[FittedLaw]) -> Iterator[Answer]:
    """Yield what is due to what by every law of the loss that depends on all that two models differ in."""
    if not bench.spec.ask.attribute:
        return
    known = [(entry, _parts(bench, entry)) for entry in laws if entry.law is not None and predicts_loss(entry.law)]
    for at, change in enumerate(bench.spec.ask.attribute, 1):
        yield from _attributed(bench, laws, known, change, at)


def _attributed(
    bench: Bench, laws: Sequence[FittedLaw], known: Sequence[tuple[FittedLaw, Parts]], change: Change, at: int
) -> Iterator[Answer]:
    start, end = _model(bench, change.start), _model(bench, change.end)
    players = {name for name in start if start[name] != end[name]}
    able = [(entry, parts) for entry, parts in known if players <= _dependencies(entry, parts)]
    yield from (_attribution(bench, entry, parts, (start, end), at) for entry, parts in able)
    if not able and laws:
        yield _cannot_attribute(laws, sorted(players), at)


def _model(bench: Bench, asked: AskedModel) -> dict[str, float | str]:
    """Return a model as laws know it, with the levels that it does not name."""
    bare = {pipeline.name for pipeline in bench.spec.sweep.compression if not pipeline.stages}
    pipeline = DENSE.name if asked.pipeline is None or asked.pipeline in bare else asked.pipeline
    levels = {"treatment": asked.treatment or bench.treatment, "pipeline": pipeline}
    return {"N": float(asked.parameters), "D": float(asked.tokens), **levels}


def _dependencies(entry: FittedLaw, parts: Parts) -> frozenset[str]:
    assert entry.law is not None
    return dependencies(entry.law, parts)


def _parts(bench: Bench, entry: FittedLaw) -> Parts:
    return Parts(
        pipelines=entry.pipelines,
        dense=DENSE.name,
        treatments=entry.treatments,
        compressible=bench.compressible(entry.request.parameters),
        seed=bench.seed,
    )


def _attribution(bench: Bench, entry: FittedLaw, parts: Parts, models: tuple[Model, Model], at: int) -> Answer:
    assert entry.law is not None
    known = _dependencies(entry, parts)
    start, end = ({name: x for name, x in model.items() if name in known} for model in models)
    points = bench.all_models(entry.request.parameters)
    try:
        found = attribute(expected(entry.law, parts), start, end, points=points, level=entry.law.level)
    except ValueError as reason:
        return refused_answer(entry.request.name, ATTRIBUTE, at, str(reason))
    return attribution_answer(found, entry.request.name, at, start=start, end=end)


def _cannot_attribute(laws: Sequence[FittedLaw], players: Sequence[str], at: int) -> Answer:
    if all(entry.law is None for entry in laws):
        return _no_law(laws[0], ATTRIBUTE, at)
    names = " and ".join(players) if players else "nothing: both models are the same"
    reason = (
        f"The models differ in {names}, and no fitted law of the loss depends on all of that; a law of form Joint does "
        "where pipelines and treatments were swept."
    )
    return refused_answer(laws[0].request.name, ATTRIBUTE, at, reason)


def _next(bench: Bench, entry: FittedLaw, training_flops: float) -> Answer:
    request = entry.request
    if entry.law is None:
        return _no_law(entry, NEXT_TRIALS, training_flops)
    points = bench.dense(request.parameters)
    try:
        found = next_trials(entry.law, points, training_flops, flops=flops_per_token(points), level=entry.law.level)
    except ValueError as reason:
        return refused_answer(request.name, NEXT_TRIALS, training_flops, str(reason))
    return next_trials_answer(found, request.name, training_flops)


def _no_law(entry: FittedLaw, question: str, at: float) -> Answer:
    assert entry.refused is not None
    return refused_answer(entry.request.name, question, at, f"There is no law: {entry.refused.message}")

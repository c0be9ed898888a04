"""Question 1: can this experiment be done here at all?"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from scaling_api.messages import ended
from scaling_api.problems import Problem
from scaling_laws.design.corpora import PYTHON_CORPUS_FINGERPRINT
from scaling_laws.design.identity import RECIPE_VERSION
from scaling_laws.design.supported import Place, unsupported
from scaling_operator import reasons
from scaling_operator.decide.draft import Draft, Refusal
from scaling_operator.desired.refusals import refusals

MOST_SHOWN: Final = 8
"""Problems in one message."""


def accept(draft: Draft) -> Draft:
    """Refuse what cannot be done, with a reason; pin the recipe of what can."""
    refusal = next((found for check in _WHY_NOT if (found := check(draft))), None)
    if refusal is not None:
        return replace(draft, refusal=refusal)
    return draft if draft.status.recipe_version is not None else draft.with_status(recipe_version=RECIPE_VERSION)


def refusal_of(reason: str, problems: Iterable[Problem]) -> Refusal:
    """Return the refusal that names the problems."""
    lines = [ended(str(problem)) for problem in problems]
    more = f" And {len(lines) - MOST_SHOWN} more." if len(lines) > MOST_SHOWN else ""
    return Refusal(reason, " ".join(lines[:MOST_SHOWN]) + more)


def _invalid(draft: Draft) -> Refusal | None:
    if draft.observed.spec is not None:
        return None
    return refusal_of(reasons.INVALID, draft.observed.problems or (Problem("spec", "it cannot be read"),))


def _unsupported(draft: Draft) -> Refusal | None:
    problems = (*unsupported(draft.spec, place=Place.CLUSTER), *_wrong_corpus(draft))
    return refusal_of(reasons.UNSUPPORTED, problems) if problems else None


def _wrong_corpus(draft: Draft) -> tuple[Problem, ...]:
    language = draft.spec.task.language
    if language is None or language.corpus.python is None:
        return ()
    if language.corpus.fingerprint in {None, PYTHON_CORPUS_FINGERPRINT}:
        return ()
    path = "spec.task.language.corpus.fingerprint"
    return (Problem(path, f"the built-in corpus has the fingerprint {PYTHON_CORPUS_FINGERPRINT}; leave it out"),)


def _not_allowed(draft: Draft) -> Refusal | None:
    observed = draft.observed
    problems = refusals(draft.spec, observed.settings, namespace=observed.identity.namespace)
    return refusal_of(reasons.NOT_ALLOWED, problems) if problems else None


def _recipe_changed(draft: Draft) -> Refusal | None:
    pinned = draft.status.recipe_version
    if pinned is None or pinned == RECIPE_VERSION:
        return None
    return Refusal(
        reasons.RECIPE_CHANGED,
        f"The experiment was accepted with version {pinned} of the training recipe, and this operator trains with "
        f"version {RECIPE_VERSION}, which gives other losses. Go on with the operator that accepted it, or create "
        "another experiment.",
    )


_WHY_NOT: Final[tuple[Callable[[Draft], Refusal | None], ...]] = (
    _invalid, _unsupported, _not_allowed, _recipe_changed,
)  # fmt: skip

"""Whether the driver says that it is done although trials are left."""

from scaling_api.driver_protocol import DriverPhase, Intent
from scaling_operator.decide.draft import Aim, Draft
from scaling_operator.decide.messages import follows


def all_is_read(draft: Draft) -> bool:
    """Return whether every row that the driver has is dealt with by this pass.

    Where more has been read than the state tells of, the state is older than the rows and says nothing.
    """
    answer = draft.answer
    if answer is None:
        return False
    last = answer.rows[-1].number if answer.rows else answer.read
    return last == answer.state.last_row


def trials_are_missing(draft: Draft) -> bool:
    """Return whether the driver is done with the plan, all its rows are read, and still trials are left."""
    answer = draft.answer
    if answer is None or not draft.unfinished or draft.aim is not Aim.RUN or not all_is_read(draft):
        return False
    state = answer.state
    is_done = state.phase is DriverPhase.FINISHED and not state.budget_exhausted and not state.stopped
    return is_done and follows(draft, state, Intent.RUN)

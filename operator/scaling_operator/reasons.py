"""Every word that a condition or an Event may have for a reason, but for those of failures (`failure_table`)."""

from typing import Final

# Types of conditions.
ACCEPTED: Final = "Accepted"
SUSPENDED: Final = "Suspended"
CLUSTER_READY: Final = "ClusterReady"
TRIALS_COMPLETE: Final = "TrialsComplete"
FITTED: Final = "Fitted"
BUDGET_EXHAUSTED: Final = "BudgetExhausted"
COMPLETE: Final = "Complete"
FAILED: Final = "Failed"
CONDITIONS: Final = (
    ACCEPTED, SUSPENDED, CLUSTER_READY, TRIALS_COMPLETE, FITTED, BUDGET_EXHAUSTED, COMPLETE, FAILED,
)  # fmt: skip

# Accepted.
PLANNED: Final = "Planned"
PLANNING: Final = "Planning"
INVALID: Final = "Invalid"
UNSUPPORTED: Final = "Unsupported"
NOT_ALLOWED: Final = "NotAllowed"
UNPLANNABLE: Final = "Unplannable"
RECIPE_CHANGED: Final = "RecipeChanged"

# Suspended.
SUSPENDED_BY_SPEC: Final = "SuspendedBySpec"
SUSPENDING: Final = "Suspending"
NOT_SUSPENDED: Final = "NotSuspended"

# ClusterReady.
DRIVER_ANSWERS: Final = "DriverAnswers"
DRIVER_UNREACHABLE: Final = "DriverUnreachable"
SECRET_MISSING: Final = "SecretMissing"
SECRET_INVALID: Final = "SecretInvalid"
DRIVER_FOREIGN: Final = "DriverForeign"
STARTING: Final = "Starting"
STOPPING: Final = "Stopping"
REPLACING: Final = "Replacing"
BACKING_OFF: Final = "BackingOff"
NOT_NEEDED: Final = "NotNeeded"
NOT_ACCEPTED: Final = "NotAccepted"
NAME_TAKEN: Final = "NameTaken"
KUBERAY_MISSING: Final = "KubeRayMissing"
KUBERAY_SILENT: Final = "KubeRaySilent"
KUEUE_MISSING: Final = "KueueMissing"
NO_ROOM: Final = "NoRoom"
CLAIM_MISSING: Final = "ClaimMissing"
CLAIM_LOST: Final = "ClaimLost"
CLAIM_PENDING: Final = "ClaimPending"
STORAGE_TROUBLE: Final = "StorageTrouble"
TRIALS_MISSING: Final = "TrialsMissing"

# TrialsComplete.
ALL_FINISHED: Final = "AllFinished"
TRIALS_LEFT: Final = "TrialsLeft"

# Fitted.
LAWS_FITTED: Final = "LawsFitted"
LAW_REFUSED: Final = "LawRefused"
NO_LAWS_ASKED: Final = "NoLawsAsked"
WAITING_FOR_TRIALS: Final = "WaitingForTrials"
ANALYSIS_FAILED: Final = "AnalysisFailed"

# BudgetExhausted.
WITHIN_BUDGET: Final = "WithinBudget"
LIMIT_REACHED: Final = "LimitReached"

# Complete and Failed.
COMPLETED: Final = "Completed"
FITTING: Final = "Fitting"
NO_FAILURE: Final = "NoFailure"
TOO_MANY_FAILED_TRIALS: Final = "TooManyFailedTrials"
RETRIES_EXHAUSTED: Final = "RetriesExhausted"

# RayJobs that ended too early.
RAY_JOB_GONE: Final = "RayJobGone"
HEAD_UNREACHABLE: Final = "HeadUnreachable"
NEVER_RAN: Final = "NeverRan"
DRIVER_ENDED: Final = "DriverEnded"
ROWS_UNREAD: Final = "RowsUnread"

# Events that tell of no condition.
CLUSTER_REQUESTED: Final = "ClusterRequested"
CLUSTER_STOPPED: Final = "ClusterStopped"
BUDGET_BELOW_PLAN: Final = "BudgetBelowPlan"
DRIVER_RESTARTED: Final = "DriverRestarted"
ROWS_REFUSED: Final = "RowsRefused"
TRIAL_FAILED: Final = "TrialFailed"
TRIAL_DIVERGED: Final = "TrialDiverged"
TRIALS_INTERRUPTED: Final = "TrialsInterrupted"
EXPIRED: Final = "Expired"
RECORDS_MISSING: Final = "RecordsMissing"

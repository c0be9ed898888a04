"""Accuracy on a task in two steps: a law of the loss, then a sigmoid of accuracy against loss.

Bhagia et al. 2024, "Establishing Task Scaling Laws via Compute-Efficient Model Ladders" (arXiv:2412.04403, equations 2
and 3); Grattafiori et al. 2024 (arXiv:2407.21783, section 3.2.1) predict benchmarks in the same two steps. An error
rate in the place of the accuracy has a floor above its ceiling.
"""

from scaling_laws.forms.base import TableForm
from scaling_laws.forms.expression import Coefficient, ExpressionForm

SIGMOID = "floor + (ceiling - floor)*logistic(slope*(middle - loss))"

TASK_ACCURACY = TableForm(
    name="TaskAccuracy",
    formula=f"accuracy = {SIGMOID}, loss = E + A/N^alpha + B/D^beta",
    roles=("loss",),
    columns=("accuracy",),
    uses=("N", "D"),
    default_loss="mse",
)

ACCURACY_OF_LOSS = ExpressionForm(
    name="TaskAccuracy",
    formula=f"accuracy = {SIGMOID}",
    variables=("loss",),
    declared=(
        Coefficient("floor", lower=0.0, upper=1.0),
        Coefficient("ceiling", lower=0.0, upper=1.0),
        Coefficient("slope", is_positive=True, lower=1e-12, upper=1e12, start=(1.0, 100.0), per="1/loss"),
        Coefficient("middle", start=(0.5, 1.5), per="loss"),
    ),
    default_loss="mse",
)
"""The second step."""

"""Over-training: Gadre et al. 2024, "Language models scale reliably with over-training" (arXiv:2403.08540, equation 4).

M = D/N is the number of tokens a parameter. Along a constant M the loss is a power law of compute with one exponent.
"""

from scaling_laws.forms.expression import Coefficient, ExpressionForm

OVER_TRAINING = ExpressionForm(
    name="OverTraining",
    formula="L = E + (a*(D/N)^eta + b*(D/N)^-eta)/C^eta",
    variables=("N", "D", "C"),
    declared=(
        Coefficient("E", lower=0.0),
        Coefficient("a", is_positive=True),
        Coefficient("eta", lower=0.0, upper=5.0, start=(0.02, 0.8)),
        Coefficient("b", is_positive=True),
    ),
)

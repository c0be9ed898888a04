"""What compression costs, by bits and sparsity: a penalty above the dense model of the same N and D.

Two formulas compete, by a back-test at larger D. In one the penalty is added, growing with tokens and falling with size
(Kumar et al. 2024, arXiv:2411.04330, equation 3, for quantization after training; Ouyang et al. 2024,
arXiv:2411.17691); in the other the compressed model performs as a dense one of N*e parameters would, e = exp(-u), where
what pruning and quantization take adds up in u, so that the multipliers of a hybrid multiply (Frantar et al. 2025,
arXiv:2502.16440, and Panferov et al. 2025, arXiv:2506.01863, find so). Whether they do is tested where the table has
hybrids.
"""

from scaling_laws.forms.base import TableForm
from scaling_laws.forms.expression import Coefficient

COMPRESSION = TableForm(
    name="Compression",
    formula="penalty = (k_q*exp(-P/gamma) + k_s*(1/(1 - S)^b - 1))*(D/D0)^g*(N/N0)^-h, or of N*exp(-u) parameters",
    uses=("P", "S", "control_loss"),
    default_loss="mse",
)

OF_BITS = (
    Coefficient("k_q", is_positive=True, start=(1e-3, 1e3)),
    Coefficient("gamma", is_positive=True, lower=0.05, upper=50.0, start=(0.3, 4.0)),
)
OF_SPARSITY = (
    Coefficient("k_s", is_positive=True, start=(1e-4, 10.0)),
    Coefficient("b", is_positive=True, lower=0.05, upper=20.0, start=(0.3, 4.0)),
)
OF_TOKENS = Coefficient("g", lower=-3.0, upper=3.0, start=(-0.3, 1.2))
OF_SIZE = Coefficient("h", lower=-3.0, upper=3.0, start=(-0.5, 1.0))
OF_HYBRIDS = Coefficient("interaction", lower=-10.0, upper=10.0, start=(-0.5, 0.5))
"""What a hybrid loses beyond its parts, as a share of what they lose together."""

"""Approaches 1 and 2 of Hoffmann et al. 2022 (arXiv:2203.15556, section 3): the frontier without a law of the loss.

Approach 1 takes, for each amount of compute, the training curve with the least loss; approach 2 takes, for each budget,
the minimum of a parabola in log N. Both then fit power laws N* = k_N*C^a and D* = k_D*C^b through the minima.
"""

from scaling_laws.forms.base import TableForm

ENVELOPE = TableForm(
    name="ChinchillaEnvelope",
    formula="N* = k_N*C^a, D* = k_D*C^b at the least loss of all training curves",
)
ISOFLOP = TableForm(
    name="ChinchillaIsoFLOP",
    formula="N* = k_N*C^a, D* = k_D*C^b at the minima of parabolas of the loss in log N",
    uses=("C",),
)

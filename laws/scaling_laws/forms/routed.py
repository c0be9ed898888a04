"""Mixtures of experts: a law of size and number of experts, and one of size, tokens and granularity.

Clark et al. 2022, "Unified Scaling Laws for Routed Language Models" (arXiv:2202.01169, equations 1, 9 and 10): N counts
the parameters of the dense base model, `experts` is their number E (1 is the dense model), and the count saturates:
1/Ehat = 1/(E - 1 + 1/(1/E_start - 1/E_max)) + 1/E_max. Logs are to base 10, as published.

Krajewski et al. 2024, "Scaling Laws for Fine-Grained Mixture of Experts" (arXiv:2402.07871, equation 5): G is the
granularity, how many times smaller an expert is than the feed-forward layer it stands for.
"""

from scaling_laws.forms.expression import Coefficient, ExpressionForm

_EXPERTS = "(1/(1/(experts - 1 + 1/(1/E_start - 1/E_max)) + 1/E_max))"

ROUTED = ExpressionForm(
    name="Routed",
    formula=f"L = 10^(d + a*log10(N) + b*log10({_EXPERTS}) + c*log10(N)*log10({_EXPERTS}))",
    variables=("N", "experts"),
    declared=(
        Coefficient("d", start=(-1.0, 3.0)),
        Coefficient("a", start=(-0.4, 0.0)),
        Coefficient("b", start=(-0.4, 0.1)),
        Coefficient("c", start=(-0.02, 0.05)),
        Coefficient("E_start", is_positive=True, lower=1e-3, upper=1e3, start=(0.5, 8.0)),
        Coefficient("E_max", is_positive=True, lower=1.0, upper=1e9, start=(2.0, 2e3), per="experts"),
    ),
)

FINE_GRAINED = ExpressionForm(
    name="FineGrained",
    formula="L = c + (g/G^gamma + a)/N^alpha + b/D^beta",
    variables=("N", "D", "G"),
    declared=(
        Coefficient("c", lower=0.0),
        Coefficient("g", is_positive=True),
        Coefficient("gamma", is_positive=True, start=(0.1, 3.0)),
        Coefficient("a", is_positive=True),
        Coefficient("alpha", lower=0.0, upper=10.0, start=(0.03, 1.0)),
        Coefficient("b", is_positive=True),
        Coefficient("beta", lower=0.0, upper=10.0, start=(0.03, 1.0)),
    ),
)

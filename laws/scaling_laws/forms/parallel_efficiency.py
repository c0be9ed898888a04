"""Throughput against workers: contention, communication and scaled work.

Amdahl 1967 (doi:10.1145/1465482.1465560): a share sigma of the work is not shared. Gustafson 1988
(doi:10.1145/42411.42415): the work grows with the workers, and a share g of each one's time is lost to what does not
grow. Gunther 1993, "A simple capacity model of massively parallel transaction systems" (the universal scalability law)
adds communication between all pairs, kappa, so that throughput peaks at sqrt((1 - sigma)/kappa) workers.

One set of sigma, kappa and g for each strategy; models of several sizes share a power of N.
"""

from scaling_laws.forms.base import TableForm


def _of(name: str, formula: str) -> TableForm:
    return TableForm(
        name=name,
        formula=formula,
        roles=(),
        columns=("workers", "throughput"),
        uses=("strategy",),
        default_loss="log-mse",
    )


AMDAHL = _of("Amdahl", "throughput = lambda*workers/(1 + sigma*(workers - 1))")
GUSTAFSON = _of("Gustafson", "throughput = lambda*(workers - g*(workers - 1))")
UNIVERSAL_SCALABILITY = _of(
    "UniversalScalability", "throughput = lambda*workers/(1 + sigma*(workers - 1) + kappa*workers*(workers - 1))"
)
PARALLEL_EFFICIENCY = _of("ParallelEfficiency", "Amdahl, Gustafson or UniversalScalability, by cross-validation")

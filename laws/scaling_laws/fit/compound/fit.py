"""Which compound fit a form has."""

from collections.abc import Callable, Mapping

from scaling_laws.fit.compound.breaks import fit_breaks
from scaling_laws.fit.compound.compression import fit_compression
from scaling_laws.fit.compound.data_quality import fit_data_quality
from scaling_laws.fit.compound.envelope import fit_envelope
from scaling_laws.fit.compound.isoflop import fit_isoflop
from scaling_laws.fit.compound.mixing import fit_mixing
from scaling_laws.fit.compound.parallel import fit_parallel
from scaling_laws.fit.compound.request import CompoundRequest
from scaling_laws.fit.compound.task_accuracy import fit_task_accuracy
from scaling_laws.law import Law
from scaling_laws.points import Points

_FITS: Mapping[str, Callable[[Points, CompoundRequest], Law]] = {
    "BNSL": fit_breaks,
    "ChinchillaEnvelope": fit_envelope,
    "Compression": fit_compression,
    "ChinchillaIsoFLOP": fit_isoflop,
    "DataQuality": fit_data_quality,
    "Mixing": fit_mixing,
    "TaskAccuracy": fit_task_accuracy,
    **dict.fromkeys(("ParallelEfficiency", "Amdahl", "Gustafson", "UniversalScalability"), fit_parallel),
}


_FRONTIERS = ("ChinchillaEnvelope", "ChinchillaIsoFLOP")
_OWN_LOSSES = ("log-huber", "log-mse")
"""What is asked for where nothing is, and what power laws through minima are fitted by."""


def fit_compound(points: Points, request: CompoundRequest) -> Law:
    """Return the law of a form whose formula depends on its table.

    Raises:
        LawRefusedError: the points cannot carry it.
        ValueError: something is asked for that the form has no use for.
    """
    if request.form.name in _FRONTIERS:
        _refuse_choices(request)
    return _FITS[request.form.name](points, request)


def _refuse_choices(request: CompoundRequest) -> None:
    name, objective = request.form.name, request.objective
    if objective.loss not in _OWN_LOSSES:
        raise ValueError(f"{name} is fitted by least squares of log N* and log D* (log-mse), not by {objective.name}.")
    if request.fixed:
        held = ", ".join(request.fixed)
        raise ValueError(
            f"{name} holds no coefficient at a value, found {held}: both power laws go through one minimum."
        )

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


def fit_compound(points: Points, request: CompoundRequest) -> Law:
    """Return the law of a form whose formula depends on its table."""
    return _FITS[request.form.name](points, request)

"""What `scaling fit` was asked for."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FitRequest:
    """The options of the command line, by their names."""

    table: str
    form: str
    columns: str = ""
    units: str = ""
    loss: str | None = None
    delta: float = 1e-3
    bootstrap: int = 1000
    level: float = 0.95
    seed: int = 0
    features: str = ""
    fix: Sequence[str] = ()
    where: Sequence[str] = ()
    drop_invalid: bool = False
    parameters: str = "matmul"
    training_flops: Sequence[float] = ()
    intervals: str | None = None
    """Their method; None: the one that suits the points."""
    factors: str = ""
    compare: Sequence[str] = ()
    predict: Sequence[str] = ()
    attribute: Sequence[str] = ()
    next_flops: float | None = None
    documents: bool = False

    @property
    def named_features(self) -> tuple[str, ...]:
        """Features one by one."""
        return tuple(part.strip() for part in self.features.split(",") if part.strip())

"""Amounts of what is spent."""

from typing import Annotated, Final

from pydantic import Field

from scaling_api.v1alpha1.status import Spent
from scaling_trainer.lines import Line

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Spending(Line):
    """What was spent."""

    training_flops: Amount = 0.0
    accelerator_seconds: Amount = 0.0
    cost: Amount | None = None

    def __add__(self, other: "Spending") -> "Spending":
        """Return both together."""
        costs = [cost for cost in (self.cost, other.cost) if cost is not None]
        return Spending(
            training_flops=self.training_flops + other.training_flops,
            accelerator_seconds=self.accelerator_seconds + other.accelerator_seconds,
            cost=sum(costs) if costs else None,
        )

    def as_status(self) -> Spent:
        """Return it as an experiment's status has it."""
        return Spent(training_flops=self.training_flops, accelerator_seconds=self.accelerator_seconds, cost=self.cost)


NOTHING: Final = Spending()

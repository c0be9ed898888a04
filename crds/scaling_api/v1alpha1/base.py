"""What every object of the API shares: strict, frozen models with camelCase names."""

from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

GROUP = "scalinglaws.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"


class ApiModel(BaseModel):
    """A piece of the API: unknown fields are refused, values never change after validation."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        serialize_by_alias=True,
    )


# A name that can become part of a Kubernetes object's name or label.
ShortName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=42)]
PoolName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=20)]
TrialId: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
Uri: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
Fraction: TypeAlias = Annotated[float, Field(ge=0, le=1)]

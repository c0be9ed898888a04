"""JSON objects that the trainer writes and reads itself: rows, messages, manifests."""

from pydantic import BaseModel, ConfigDict


class Line(BaseModel):
    """One JSON object, which fits on one line; what is not known is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

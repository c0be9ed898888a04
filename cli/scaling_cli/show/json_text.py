"""JSON at full precision, without the NaN and Infinity that JSON does not have."""

import json
import math
from typing import Any


def json_text(value: Any) -> str:
    """Return `value` as JSON text; numbers that are not finite are null."""
    return json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(key): _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case _:
            return value

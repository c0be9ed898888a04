"""YAML at full precision."""

import json
from io import StringIO
from typing import Any

from scaling_cli.show.json_text import json_text


def yaml_text(value: Any) -> str:
    """Return `value` as YAML 1.2 text; numbers that are not finite are null."""
    from ruamel.yaml import YAML

    yaml, stream = YAML(), StringIO()
    yaml.default_flow_style = False
    yaml.width = 4096  # a sentence stays on its line
    yaml.dump(json.loads(json_text(value)), stream)
    return stream.getvalue()

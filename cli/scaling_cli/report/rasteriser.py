"""SVG to PNG in a process of its own: the rasteriser is native code that ends its process where it meets a defect."""

import base64
import json
import subprocess
import sys
from collections.abc import Mapping

PNG_SCALE = 2.0
_TIMEOUT_S = 60.0
"""For all pictures of a report; they take about a second."""


def rasterise(svgs: Mapping[str, str]) -> dict[str, bytes]:
    """Return the PNG of each SVG; one that the rasteriser dies of is missing, and the others are there."""
    left, pngs = dict(svgs), dict[str, bytes]()
    while left:
        drawn = _in_child(left)
        pngs |= drawn
        undrawn = [name for name in left if name not in drawn]
        left = {name: left[name] for name in undrawn[1:]}  # the first is what it died of
    return pngs


def _in_child(svgs: Mapping[str, str]) -> dict[str, bytes]:
    """Return what a child process has drawn until its end."""
    # -P: a file of the working folder must not stand in for a module.
    command = [sys.executable, "-P", "-m", __name__]
    sent = json.dumps(svgs).encode()
    try:
        out = subprocess.run(command, input=sent, capture_output=True, timeout=_TIMEOUT_S, check=False).stdout
    except subprocess.TimeoutExpired as late:
        out = late.stdout or b""
    except OSError:
        return {}
    whole = out[: out.rfind(b"\n") + 1].splitlines()
    return {name: base64.b64decode(png) for name, png in map(json.loads, whole)}


def _draw_all() -> None:
    import vl_convert

    for name, svg in json.load(sys.stdin.buffer).items():
        png = base64.b64encode(vl_convert.svg_to_png(svg, scale=PNG_SCALE)).decode()
        sys.stdout.write(json.dumps((name, png)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _draw_all()

import json
import subprocess
import sys

import pytest

HEAVY = {"kubernetes", "urllib3", "torch", "numpy", "scipy", "ruamel", "scaling_api", "scaling_laws"}
COMMANDS = ("apply", "status", "logs", "suspend", "resume", "delete", "list", "trials", "report")


@pytest.mark.parametrize("words", [[], *([command] for command in COMMANDS)])
def test_help_loads_no_library_of_clusters(words: list[str]) -> None:
    code = (
        "import json, sys, contextlib, io\n"
        "from scaling_cli.__main__ import app\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    app({[*words, '--help']!r})\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, timeout=60, check=True)
    assert set(json.loads(done.stdout)) & HEAVY == set()

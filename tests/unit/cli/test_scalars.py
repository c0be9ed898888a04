import json
import math
import shutil
import subprocess
from typing import Any

import pytest

from scaling_cli.documents import Fields, read_documents, to_json
from scaling_cli.scalars import read_scalar

# What kubectl makes of each unquoted scalar before it sends it.
AS_SENT = {
    "1e17": 10**17, "1.0e+17": 10**17, "1e3": 1000, "12e03": 12000, "9007199254740993.0": 2**53,
    "9007199254740993": 2**53 + 1, "9223372036854775807": 2**63 - 1, "1e21": 1e21, "0.1e1": 1, "16.5": 16.5,
    "1_000": 1000, "1__0": 10, "1_": 1, "1_000.5": 1000.5, "0x10": 16, "0X1F": 31, "0x1_0": 16, "-0x10": -16,
    "010": 8, "0_7": 7, "08": 8, "0o17": 15, "0b101": 5, "-0b101": -5, "+5": 5, "-0.0": 0, ".5": 0.5, "1.": 1,
    "5e-1": 0.5, "1e400": "1e400", "1:30": "1:30", "_1": "_1", "30k": "30k", "64Mi": "64Mi", "1e": "1e", "--1": "--1",
    "0.30000000000000004": 0.1 + 0.2, "-": "-", "2024-01-02": "2024-01-02", "nan": "nan", "NaN": "NaN", "inf": "inf",
    "yes": True, "Y": True, "on": True, "no": False, "OFF": False, "n": False, "yEs": "yEs", "~": None, "Null": None,
    "true": True, "False": False,
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), AS_SENT.items())
def test_an_unquoted_scalar_is_what_kubectl_sends(text: str, value: object) -> None:
    found = read_scalar(text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(("text", "value"), [(".inf", math.inf), ("+.Inf", math.inf), ("-.INF", -math.inf)])
def test_infinity_is_read_to_be_refused_by_name(text: str, value: float) -> None:
    assert read_scalar(text) == value


@pytest.mark.parametrize("text", [".nan", ".NaN", ".NAN"])
def test_not_a_number_is_read_to_be_refused_by_name(text: str) -> None:
    found = read_scalar(text)
    assert isinstance(found, float)
    assert math.isnan(found)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_the_table_is_what_kubectl_itself_does() -> None:
    lines = "\n".join(f"- {text}" for text in AS_SENT if text != "-")
    document = f"apiVersion: v1\nkind: Thing\nmetadata: {{name: x}}\nspec:\n{lines}\n"
    command = ["kubectl", "annotate", "--local", "-f", "-", "a=b", "-o", "json"]
    done = subprocess.run(command, input=document, text=True, capture_output=True, timeout=60, check=True)
    sent: list[Any] = json.loads(done.stdout)["spec"]
    root = read_documents(document, source="x")[0]
    assert isinstance(root, Fields)
    assert to_json(root.nodes["spec"]) == sent

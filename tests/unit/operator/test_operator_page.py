"""docs/operator.md names every reason that a condition or an Event may have."""

import re
from pathlib import Path

from scaling_operator import reasons
from scaling_operator.failure_table import RULES

PAGE = (Path(__file__).parents[3] / "docs/operator.md").read_text(encoding="utf-8")
WORDS = set(re.findall(r"\w+", PAGE))


def test_every_reason_is_on_the_page() -> None:
    named = {value for name, value in vars(reasons).items() if name.isupper() and isinstance(value, str)}
    assert named - WORDS == set()


def test_every_failure_is_on_the_page_with_its_class_and_what_follows() -> None:
    for rule in RULES:
        line = rf"\| {rule.failure_class} \| {rule.name} \| {rule.retry.name.capitalize()} \|"
        assert re.search(line, PAGE), rule.name

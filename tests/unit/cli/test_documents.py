from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling_cli.documents import line_of, parse_path, read_documents, to_json
from scaling_cli.errors import CommandError

TEXT = """\
base: &base {width: 8, depth: 2}   # an anchor
model:
  <<: *base
  depth: 3
  sizes:
  - 10k
  - "1e3"
text: |
  two
  lines
"""


def test_anchors_merges_quotes_and_blocks_are_read() -> None:
    (root,) = read_documents(TEXT, source="x")
    assert to_json(root) == {
        "base": {"width": 8, "depth": 2},
        "model": {"depth": 3, "sizes": ["10k", "1e3"], "width": 8},
        "text": "two\nlines\n",
    }


@pytest.mark.parametrize(
    ("path", "line"),
    [("model.depth", 4), ("model.sizes[1]", 7), ("model.sizes[9]", 5), ("model.width", 1), ("nothing.at.all", 1)],
)
def test_fields_remember_their_lines(path: str, line: int) -> None:
    (root,) = read_documents(TEXT, source="x")
    assert line_of(root, parse_path(path)) == line


def test_json_is_read_with_its_tabs_and_escapes() -> None:
    (root,) = read_documents('{\n\t"a": [1, 2.5, "\\u00e9\\/"],\n\t"b": {"c": null, "d": true}\n}', source="x")
    assert to_json(root) == {"a": [1, 2.5, "é/"], "b": {"c": None, "d": True}}


def test_documents_are_separate_and_empty_ones_are_none() -> None:
    assert [to_json(d) for d in read_documents("---\na: 1\n---\n# nothing\n---\nb: 2\n", source="x")] == [
        {"a": 1},
        {"b": 2},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:\n\tb: 1\n", "x:2: cannot be read as YAML: a tab stands where YAML wants spaces; indent with spaces."),
        ("a: 1\nb: 2\na: 3\n", "x:3: the field a is given twice, first on line 1; keep one."),
        ('{"a": 1,\n "a": 2}', "x:2: the field a is given twice, first on line 1; keep one."),
        (
            "a: [1\nb: 2\n",
            "x:2: cannot be read as YAML: while parsing a flow sequence, expected ',' or ']', but got ':'.",
        ),
        ("a: b: c", "x:1: cannot be read as YAML: mapping values are not allowed here."),
        ("a: *nope", "x:1: the alias *nope has no anchor &nope before it."),
        ("a: &loop [*loop]", "x:1: the alias *loop has no anchor &loop before it."),
        ("a: !!python/name:os.system x", "x:1: the tag tag:yaml.org,2002:python/name:os.system with the value"),
        ("? [1, 2]\n: 3", "x:1: a field's name must be text."),
        ("<<: 3", "x:1: << takes a mapping, or a list of mappings."),
        ("\x01", "x: cannot be read as YAML: this is not a text file."),
        ("[" * 200 + "]" * 200, "x:1: values are nested more than 64 deep."),
    ],
)
def test_what_cannot_be_read_is_a_sentence_with_its_line(text: str, message: str) -> None:
    with pytest.raises(CommandError) as caught:
        read_documents(text, source="x")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_aliases_cannot_blow_up() -> None:
    bomb = "a0: &a0 [1, 1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))
    with pytest.raises(CommandError, match="more than 200,000 values"):
        read_documents(bomb, source="x")


PIECES = [
    "a",
    ":",
    " ",
    "\n",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "&x ",
    "*x",
    "<<: ",
    "!!int ",
    "'",
    '"',
    "|",
    "\t",
    "#",
    "? ",
    "---\n",
    "1e9",
]


@given(st.lists(st.sampled_from(PIECES), max_size=24).map("".join) | st.text(max_size=40))
def test_no_text_raises_anything_but_a_sentence(text: str) -> None:
    with suppress(CommandError):
        for root in read_documents(text, source="x"):
            to_json(root)

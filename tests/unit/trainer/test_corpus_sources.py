"""Which documents come out of a file, a folder, a URI; and the one sentence when none do."""

import errno
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling_api.v1alpha1.task import Corpus, PythonCorpus
from scaling_laws.design.corpora import PYTHON_CORPUS_FINGERPRINT
from scaling_trainer.data import sources
from scaling_trainer.data.corpus import CorpusError, fingerprint, fingerprint_of
from scaling_trainer.data.sources import DOCUMENT_BYTES, LONGEST_PIECE_BYTES, read_documents, split_text


def documents_of(path: Path) -> tuple[bytes, ...]:
    return read_documents(Corpus(uri=str(path)))


def test_built_in_corpus_is_the_one_whose_fingerprint_plans_use() -> None:
    documents = read_documents(Corpus(python=PythonCorpus()))
    assert fingerprint_of(documents) == PYTHON_CORPUS_FINGERPRINT
    assert sum(map(len, documents)) > 20_000_000


def test_built_in_corpus_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda _: "1.13.3")
    with pytest.raises(CorpusError, match=r"sympy 1\.13\.3 is installed: install sympy==1\.14\.0"):
        read_documents(Corpus(python=PythonCorpus()))


def test_built_in_corpus_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "PYTHON_CORPUS_PACKAGE", "no_such_package")
    with pytest.raises(CorpusError, match="not installed"):
        read_documents(Corpus(python=PythonCorpus()))


def test_folder_is_read_in_the_order_of_its_paths(tmp_path: Path) -> None:
    for name, text in (("b.txt", "bee"), ("a/z.txt", "zed"), ("a.txt", "ay"), ("a/é.md", "accent")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert documents_of(tmp_path) == (b"ay", b"zed", b"accent", b"bee")


def test_folder_leaves_out_what_is_hidden_empty_or_no_text(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("hidden")
    (tmp_path / ".hidden").write_text("hidden")
    (tmp_path / "empty.txt").touch()
    (tmp_path / "image.png").write_bytes(b"\x89PNG\r\n")
    (tmp_path / "nul.bin").write_bytes(b"a\0b")
    (tmp_path / "good.txt").write_text("text")
    assert documents_of(tmp_path) == (b"text",)


def test_fingerprint_says_nothing_about_names_and_places(tmp_path: Path) -> None:
    for folder, names in (("one", "ab"), ("two", "xy")):
        (tmp_path / folder).mkdir()
        for name, text in zip(names, ("first", "second"), strict=True):
            (tmp_path / folder / name).write_text(text)
    assert fingerprint(Corpus(uri=str(tmp_path / "one"))) == fingerprint(Corpus(uri=f"file://{tmp_path}/two"))


def test_fingerprint_knows_where_documents_end() -> None:
    assert fingerprint_of([b"ab", b"c"]) != fingerprint_of([b"a", b"bc"]) != fingerprint_of([b"abc"])


def test_corpus_that_is_not_the_asked_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(CorpusError, match="its text changed"):
        fingerprint(Corpus(uri=str(tmp_path), fingerprint="0" * 64))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"a\0b", "NUL byte at offset 1"),
        (b"caf\xe9 au lait", "byte 0xe9 at offset 3; convert it to UTF-8"),
    ],
)
def test_file_that_cannot_be_used_is_refused(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "corpus.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CorpusError, match=sentence):
        documents_of(path)


def test_folder_without_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\xff")
    with pytest.raises(CorpusError, match="none of its 1 files"):
        documents_of(tmp_path)


def test_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    (tmp_path / "a.txt").write_text("text")
    monkeypatch.setattr(Path, "read_bytes", refuse)  # root may read everything
    with pytest.raises(CorpusError, match=r"cannot be read: Permission denied \(.*a\.txt\)"):
        documents_of(tmp_path)


def test_remote_corpus_is_read_like_a_local_one(tmp_path: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    for name, text in (("b.txt", b"bee"), ("a/z.txt", b"zed"), (".hidden", b"no"), ("image", b"\xff")):
        memory.pipe(f"/corpus/{name}", text)
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(text)
    assert read_documents(Corpus(uri="memory://corpus")) == documents_of(tmp_path) == (b"zed", b"bee")


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("memory://nothing-here", "does not exist"),
        ("nosuchscheme://bucket/corpus", "cannot be read"),
    ],
)
def test_remote_corpus_that_cannot_be_used_is_refused(uri: str, sentence: str) -> None:
    with pytest.raises(CorpusError, match=sentence):
        read_documents(Corpus(uri=uri))


def test_large_file_of_a_folder_becomes_documents(tmp_path: Path) -> None:
    paragraph = ("word " * 200 + "\n\n").encode()
    (tmp_path / "big.txt").write_bytes(paragraph * 400)
    documents = documents_of(tmp_path)
    assert b"".join(documents) == paragraph * 400
    assert all(DOCUMENT_BYTES <= len(d) <= DOCUMENT_BYTES + len(paragraph) for d in documents[:-1])


@given(st.lists(st.sampled_from([b"a" * 3000, b"b" * 20_000, b"\n", b"\n\n", "é".encode() * 999]), max_size=12))
def test_pieces_of_a_file_are_all_of_it_and_bounded(parts: list[bytes]) -> None:
    text = b"".join(parts)
    pieces = list(split_text(text))
    assert b"".join(pieces) == text
    assert all(0 < len(piece) <= LONGEST_PIECE_BYTES for piece in pieces)

"""Where documents come from: the built-in corpus, a file, a folder, or a URI. All refusals are one sentence."""

import os
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path, PurePosixPath

from scaling_api.v1alpha1.task import Corpus
from scaling_trainer.errors import ConfigurationError

PYTHON_CORPUS_PACKAGE = "sympy"
PYTHON_CORPUS_VERSION = "1.14.0"

DOCUMENT_BYTES = 4096
"""A file is cut at the first blank line after this many bytes of a document."""
LONGEST_PIECE_BYTES = 16384
"""Without a blank line until here it is cut after the last line's end, without one of those, here."""
WHOLE_FILE_BYTES = 256 * 1024
"""A larger file of a folder is cut into documents like a single file; smaller ones are one document."""


class CorpusError(ConfigurationError):
    """The corpus cannot be used; the message says why and what to do."""


def read_documents(corpus: Corpus) -> tuple[bytes, ...]:
    """Return the documents of `corpus`, none empty, in an order that is the same on every machine.

    Text is UTF-8 without NUL bytes. In a folder all files that are not text, and those whose path has a part
    that starts with a dot, are left out; the others are read in the order of their paths, compared as bytes.

    Raises:
        CorpusError: nothing there, not readable, or no text.
    """
    if corpus.uri is None:
        return _python_source()
    files = _remote_files(corpus.uri) if "://" in _without_file_scheme(corpus.uri) else _local_files(corpus.uri)
    return tuple(document for document in files if document)


def _python_source() -> tuple[bytes, ...]:
    wanted = f"{PYTHON_CORPUS_PACKAGE}=={PYTHON_CORPUS_VERSION}"
    spec = util.find_spec(PYTHON_CORPUS_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise CorpusError(f"the built-in python corpus is the source of {wanted}, which is not installed: install it")
    try:
        found = metadata.version(PYTHON_CORPUS_PACKAGE)
    except metadata.PackageNotFoundError:
        found = "of an unknown version"
    if found != PYTHON_CORPUS_VERSION:
        raise CorpusError(
            f"the built-in python corpus is the source of {wanted}, but {PYTHON_CORPUS_PACKAGE} {found} "
            f"is installed: install {wanted}"
        )
    root = Path(spec.submodule_search_locations[0])
    return tuple(text for path in _walk(root) if path.suffix == ".py" and (text := path.read_bytes()))


def _without_file_scheme(uri: str) -> str:
    return uri.removeprefix("file://")


def _local_files(uri: str) -> Iterator[bytes]:
    try:
        path = Path(_without_file_scheme(uri)).expanduser()
        if path.is_dir():
            yield from _folder(uri, (p.read_bytes() for p in _walk(path)))
        elif path.exists() and not path.is_file():
            raise CorpusError(f"the corpus {uri} is neither a file nor a folder")
        elif path.exists():
            yield from split_text(_text_or_refusal(uri, path.read_bytes()))
        else:
            raise CorpusError(f"the corpus {uri} does not exist (looked for {path.absolute()})")
    except OSError as error:
        raise CorpusError(f"the corpus {uri} cannot be read: {error.strerror or error} ({error.filename})") from error
    except RuntimeError as error:  # a home directory that does not exist, or links in a circle
        raise CorpusError(f"the corpus {uri} cannot be found: {error}") from error


def _walk(root: Path) -> list[Path]:
    """Return all files below `root` in the order of their relative paths; hidden ones are left out."""
    found: list[tuple[bytes, Path]] = []
    for folder, subfolders, names in os.walk(root, onerror=_raise):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        paths = (Path(folder, name) for name in names if not name.startswith("."))
        found += [(os.fsencode(path.relative_to(root).as_posix()), path) for path in paths if path.is_file()]
    return [path for _, path in sorted(found)]


def _raise(error: OSError) -> None:
    raise error


def _remote_files(uri: str) -> Iterator[bytes]:
    import fsspec.core

    try:
        system, root = fsspec.core.url_to_fs(uri)
        if system.isfile(root):
            yield from split_text(_text_or_refusal(uri, system.cat_file(root)))
            return
        names = sorted(name for name in system.find(root) if not _is_hidden(name, root))
        yield from _folder(uri, (system.cat_file(name) for name in names))
    except ImportError as error:
        raise CorpusError(f"the corpus {uri} needs a package that is not installed: {error}") from error
    except CorpusError:
        raise
    except Exception as error:  # each of fsspec's systems has its own family of errors
        raise CorpusError(f"the corpus {uri} cannot be read: {type(error).__name__}: {error}") from error


def _is_hidden(name: str, root: str) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(name.removeprefix(root)).parts)


def _folder(uri: str, files: Iterator[bytes]) -> Iterator[bytes]:
    seen = texts = 0
    for content in files:
        seen += 1
        if not content or _why_not_text(content):
            continue
        texts += 1
        yield from split_text(content) if len(content) > WHOLE_FILE_BYTES else (content,)
    if not seen:
        raise CorpusError(f"the corpus {uri} does not exist, or has no files")
    if not texts:
        raise CorpusError(
            f"the corpus {uri} has no text: none of its {seen} files is non-empty UTF-8 without NUL bytes"
        )


def _text_or_refusal(uri: str, content: bytes) -> bytes:
    if not content:
        raise CorpusError(f"the corpus {uri} is empty")
    if why := _why_not_text(content):
        raise CorpusError(f"the corpus {uri} is not UTF-8 text: {why}; convert it to UTF-8, or name another file")
    return content


def _why_not_text(content: bytes) -> str | None:
    if (position := content.find(b"\0")) >= 0:
        return f"a NUL byte at offset {position}"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"byte 0x{content[error.start]:02x} at offset {error.start}"
    return None


def split_text(content: bytes) -> Iterator[bytes]:
    """Yield pieces of `content`, in order, that together are all of it.

    A piece ends after the first blank line beyond DOCUMENT_BYTES; where none comes before LONGEST_PIECE_BYTES,
    after the last line end before that; where there is no line end either, at LONGEST_PIECE_BYTES.
    """
    start = 0
    while start < len(content):
        end = _piece_end(content, start)
        yield content[start:end]
        start = end


def _piece_end(content: bytes, start: int) -> int:
    limit = start + LONGEST_PIECE_BYTES
    if len(content) - start <= DOCUMENT_BYTES:
        return len(content)
    blank = content.find(b"\n\n", start + DOCUMENT_BYTES, limit)
    if blank >= 0:
        return blank + 2
    if len(content) <= limit:
        return len(content)
    line = content.rfind(b"\n", start, limit)
    return line + 1 if line >= 0 else limit

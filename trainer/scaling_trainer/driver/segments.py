"""An experiment's journal in storage: segments that are written once, whole, under names of their own.

    experiments/<namespace>-<name>-<uid>/journal/<epoch>/<sequence>.jsonl          rows
    experiments/<namespace>-<name>-<uid>/journal/<epoch>/<sequence>.merged.jsonl   one row a trial, for all before it

Each life of a driver is an epoch and writes in its own folder alone. It begins with a merged segment of all that it
has read, and writes another one every so often, so that the next one reads few files however long the experiment is.
What a driver that is believed dead writes later is in no merged segment: it is read after those, and adds results
where there are none.
"""

import re
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from scaling_trainer.driver.rows import Changed, JournalRow, Merged, parse_row
from scaling_trainer.driver.standing import Standing
from scaling_trainer.storage.files import Files

_NAME: Final = re.compile(r"(?:.*/)?([0-9]{6}-[0-9a-f]{8})/([0-9]{6})(\.merged)?\.jsonl")
_AT_A_TIME: Final = 16


@dataclass(frozen=True)
class Segment:
    """One file of the journal."""

    epoch: str
    sequence: int
    is_merged: bool
    name: str


@dataclass(frozen=True)
class ReadJournal:
    """What is in storage of an experiment."""

    standing: Standing
    last: dict[str, int]
    """Number of the last segment by epoch."""
    warnings: tuple[str, ...]
    """One sentence for each segment with something that is no row."""


def experiment_folder(namespace: str, name: str, uid: str) -> str:
    """Where an experiment keeps its journal, relative to the storage."""
    return f"experiments/{namespace}-{name}-{uid}"


def segment_name(folder: str, epoch: str, sequence: int, *, is_merged: bool) -> str:
    """Return the name of a segment."""
    return f"{folder}/journal/{epoch}/{sequence:06}{'.merged' if is_merged else ''}.jsonl"


def next_epoch(epochs: Sequence[str]) -> str:
    """Return the name of an epoch after all those: their number grows, and the rest keeps two of a number apart."""
    number = max((int(epoch[:6]) for epoch in epochs), default=0) + 1
    return f"{number:06}-{secrets.token_hex(4)}"


def read_journal(files: Files, folder: str) -> ReadJournal:
    """Return how an experiment stands by all segments in storage. What is damaged is left out with a warning.

    Raises:
        StorageError: storage cannot be used.
    """
    segments = sorted(_segments(files.names(f"{folder}/journal")), key=lambda segment: segment.sequence)
    by_epoch: dict[str, list[Segment]] = {}
    for segment in segments:
        by_epoch.setdefault(segment.epoch, []).append(segment)
    reader = _Reader(files)
    for number, epoch in enumerate(sorted(by_epoch, reverse=True)):
        reader.read_epoch(by_epoch[epoch], is_late=number > 0)
    last = {epoch: own[-1].sequence for epoch, own in by_epoch.items()}
    return ReadJournal(reader.standing, last, tuple(reader.warnings))


class _Reader:
    def __init__(self, files: Files) -> None:
        self.standing = Standing()
        self.warnings: list[str] = []
        self._files = files
        self._covered: dict[str, int] = {}

    def read_epoch(self, segments: Sequence[Segment], *, is_late: bool) -> None:
        """Read what no merged segment of a later epoch stands for."""
        covered = self._covered.get(segments[0].epoch, 0)
        left = [segment for segment in segments if segment.sequence > covered]
        for merged in reversed([segment for segment in left if segment.is_merged]):
            if self._read_merged(merged, is_late=is_late):
                left = [segment for segment in left if segment.sequence > merged.sequence]
                break
        plain = [segment for segment in left if not segment.is_merged]
        for segment, content in zip(plain, self._contents(plain), strict=True):
            for row in self._rows(segment, content):
                self.standing.apply(row, epoch=segment.epoch, is_late=is_late)

    def _read_merged(self, segment: Segment, *, is_late: bool) -> bool:
        """Read a merged segment; False where it is damaged: then what it stands for is read."""
        found = list(self._rows(segment, self._content(segment)))
        header, rows = (found[0], found[1:]) if found else (None, [])
        if not isinstance(header, Merged) or len(rows) != header.rows:
            return False
        self.standing.apply(header, epoch=segment.epoch)
        for row in rows:
            if isinstance(row, Changed):
                self.standing.apply_merged(row, epoch=segment.epoch, is_late=is_late)
            else:
                self.standing.apply(row, epoch=segment.epoch)
        for epoch, sequence in header.through.items():
            self._covered[epoch] = max(sequence, self._covered.get(epoch, 0))
        return True

    def _contents(self, segments: Sequence[Segment]) -> list[bytes]:
        if len(segments) < 2:
            return [self._content(segment) for segment in segments]
        with ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="segments") as threads:
            return list(threads.map(self._content, segments))

    def _content(self, segment: Segment) -> bytes:
        try:
            return self._files.read(segment.name)
        except FileNotFoundError:
            return b"\n"  # a line that is no row

    def _rows(self, segment: Segment, content: bytes) -> Iterator[JournalRow]:
        bad = 0
        for line in content.splitlines() or [b""]:
            try:
                yield parse_row(line)
            except ValueError:
                bad += 1
        if bad:
            self.warnings.append(
                f"{segment.name} in {self._files.uri} is damaged: {bad} of its lines are left out. If a trial's result "
                "was there, it is found again with the trial's files, or the trial is run again, to the same numbers."
            )


def _segments(names: Sequence[str]) -> Iterator[Segment]:
    for name in names:
        if found := _NAME.fullmatch(name):
            yield Segment(found[1], int(found[2]), found[3] is not None, name)

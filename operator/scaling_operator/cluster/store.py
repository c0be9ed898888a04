"""What a watch has brought so far, by owner: newest version wins, whichever way it came."""

import threading
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Final, Generic, TypeAlias, TypeVar

from scaling_operator.desired.manifest import Manifest

Place: TypeAlias = tuple[str, str]
"""Namespace and name."""
T = TypeVar("T")

MOST_REMOVED: Final = 10_000
"""Removed objects whose last version is remembered: a late answer to a write must not bring them back."""


@dataclass(frozen=True)
class _Kept(Generic[T]):
    version: int
    owner: Hashable
    value: T


def version_of(manifest: Manifest) -> int:
    """Return the resource version, which grows with every write to its kind."""
    return int(manifest["metadata"]["resourceVersion"])


def place_of(manifest: Manifest) -> Place:
    """Return where an object is."""
    metadata = manifest["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


class Store(Generic[T]):
    """Objects of one kind, as the rest of the operator wants them: `shape` is applied once a version.

    The answer to a write is merged at once, so that a pass reads what the one before it wrote; a watch that lags
    behind, or a list that was begun before the write, does not take it back.
    """

    def __init__(self, *, owner_of: Callable[[Manifest], Hashable | None], shape: Callable[[Manifest], T]) -> None:
        self._owner_of, self._shape = owner_of, shape
        self._kept: dict[Place, _Kept[T]] = {}
        self._owned: dict[Hashable, dict[Place, T]] = {}
        self._removed: dict[Place, int] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def owned_by(self, owner: Hashable) -> dict[str, T]:
        """Return the owner's objects by name, in the order of their names."""
        with self._lock:
            found = self._owned.get(owner, {})
            return {place[1]: found[place] for place in sorted(found)}

    def at(self, namespace: str, name: str) -> T | None:
        """Return one object."""
        with self._lock:
            kept = self._kept.get((namespace, name))
        return kept.value if kept else None

    def owners(self) -> list[tuple[Hashable, T]]:
        """Return all objects, each with its owner."""
        with self._lock:
            return [(kept.owner, kept.value) for kept in self._kept.values()]

    def merge(self, manifest: Manifest) -> Hashable | None:
        """Take an object in, unless a newer version is here; return its owner if it was taken in."""
        owner = self._owner_of(manifest)
        place, version = place_of(manifest), version_of(manifest)
        with self._lock:
            kept = self._kept.get(place)
            if (kept and kept.version >= version) or self._removed.get(place, -1) >= version:
                return None
        value = self._shape(manifest)
        with self._lock:
            self._keep(place, _Kept(version, owner, value))
        return owner

    def remove(self, manifest: Manifest) -> Hashable | None:
        """Take an object out, unless a newer one of its name is here; return its owner if it was taken out."""
        place, version = place_of(manifest), version_of(manifest)
        with self._lock:
            self._removed.pop(place, None)
            self._removed[place] = version
            if len(self._removed) > MOST_REMOVED:
                del self._removed[next(iter(self._removed))]
            kept = self._kept.get(place)
            if kept is None or kept.version > version:
                return None
            self._drop(place)
            return kept.owner

    def replace(self, manifests: Iterable[Manifest], *, version: int, namespace: str | None = None) -> set[Hashable]:
        """Make the content, of one namespace or of all, that of a list; return the owners of all that has changed.

        What was written after the list was made (`version`) stays.
        """
        changed, listed = set(), set()
        for manifest in manifests:
            listed.add(place_of(manifest))
            changed.add(self.merge(manifest))
        with self._lock:
            gone = [
                place
                for place, kept in self._kept.items()
                if place not in listed and kept.version <= version and namespace in (None, place[0])
            ]
            changed |= {self._kept[place].owner for place in gone}
            for place in gone:
                self._drop(place)
        return changed - {None}

    def clear(self, *, namespace: str | None = None) -> set[Hashable]:
        """Forget what is in a namespace, or everything; return whose it was."""
        with self._lock:
            gone = {place: kept.owner for place, kept in self._kept.items() if namespace in (None, place[0])}
            for place in gone:
                self._drop(place)
        return set(gone.values())

    def _keep(self, place: Place, kept: _Kept[T]) -> None:
        there = self._kept.get(place)
        if there and there.version > kept.version:
            return
        if there and there.owner != kept.owner:
            self._drop(place)
        self._kept[place] = kept
        self._owned.setdefault(kept.owner, {})[place] = kept.value

    def _drop(self, place: Place) -> None:
        kept = self._kept.pop(place)
        owned = self._owned[kept.owner]
        del owned[place]
        if not owned:
            del self._owned[kept.owner]

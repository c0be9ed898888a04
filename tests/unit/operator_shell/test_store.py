"""The store behind a watch: the newest version wins, whichever way it came."""

from typing import Any

from scaling_operator.cluster.store import MOST_REMOVED, Store


def manifest(name: str, version: int, *, owner: str | None = "e", namespace: str = "ns", **more: Any) -> dict[str, Any]:
    labels = {"owner": owner} if owner else {}
    metadata = {"namespace": namespace, "name": name, "resourceVersion": str(version), "labels": labels}
    return {"metadata": metadata, **more}


def new_store() -> Store[int]:
    return Store(
        owner_of=lambda m: m["metadata"]["labels"].get("owner"), shape=lambda m: int(m["metadata"]["resourceVersion"])
    )


def test_a_watch_that_lags_behind_does_not_take_back_what_was_written() -> None:
    store = new_store()
    store.merge(manifest("a", 5))
    assert store.merge(manifest("a", 7)) == "e"
    assert store.merge(manifest("a", 6)) is None
    assert store.owned_by("e") == {"a": 7}


def test_a_list_that_was_begun_before_a_write_does_not_take_it_back() -> None:
    store = new_store()
    store.merge(manifest("old", 3))
    store.merge(manifest("new", 12))
    changed = store.replace([manifest("listed", 8)], version=10)
    assert store.owned_by("e") == {"listed": 8, "new": 12}
    assert changed == {"e"}


def test_a_list_of_one_namespace_leaves_the_others_alone() -> None:
    store = new_store()
    store.merge(manifest("a", 1, namespace="one"))
    store.merge(manifest("b", 2, namespace="two", owner="f"))
    store.replace([], version=10, namespace="one")
    assert store.owned_by("e") == {}
    assert store.owned_by("f") == {"b": 2}
    assert store.clear(namespace="two") == {"f"}
    assert len(store) == 0


def test_a_late_answer_to_a_write_does_not_bring_a_removed_object_back() -> None:
    store = new_store()
    store.merge(manifest("a", 5))
    assert store.remove(manifest("a", 9)) == "e"
    assert store.merge(manifest("a", 7)) is None
    assert store.at("ns", "a") is None
    assert store.merge(manifest("a", 11)) == "e"


def test_the_removal_of_an_earlier_object_of_a_name_leaves_the_new_one() -> None:
    store = new_store()
    store.merge(manifest("a", 20))
    assert store.remove(manifest("a", 9)) is None
    assert store.at("ns", "a") == 20


def test_an_object_that_changes_owners_moves() -> None:
    store = new_store()
    store.merge(manifest("a", 1, owner="e"))
    store.merge(manifest("a", 2, owner="f"))
    assert store.owned_by("e") == {}
    assert store.owned_by("f") == {"a": 2}
    assert store.owners() == [("f", 2)]


def test_what_is_remembered_of_removed_objects_is_bounded() -> None:
    store = new_store()
    for number in range(MOST_REMOVED + 10):
        store.remove(manifest(f"n{number}", number + 1))
    assert len(store._removed) == MOST_REMOVED

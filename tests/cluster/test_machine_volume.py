"""What of the machine is in pods, and that they can read it."""

from pathlib import Path

from throwaway.machine_volume import mounted_folders, open_to_all


def mode(folder: Path) -> int:
    return folder.stat().st_mode & 0o777


def test_a_checkout_of_its_owner_alone_is_open_for_a_while(tmp_path: Path) -> None:
    closed, open_ = tmp_path / "closed", tmp_path / "open"
    closed.mkdir(mode=0o700)
    open_.mkdir(mode=0o755)
    with open_to_all([closed, open_]):
        assert (mode(closed), mode(open_)) == (0o705, 0o755)
    assert (mode(closed), mode(open_)) == (0o700, 0o755)


def test_no_folder_is_mounted_inside_another() -> None:
    repository = Path(__file__).parents[2]
    folders = mounted_folders(repository)
    assert any(repository.is_relative_to(folder) for folder in folders)
    assert not [folder for folder in folders for other in folders if folder != other and folder.is_relative_to(other)]

"""Folders of Rays of our own: what a killed process has left goes, what is in use stays."""

import subprocess
import sys
from pathlib import Path

from scaling_trainer.executors.ray.folders import OwnFolder

HOLD = """
import sys; sys.path[:0] = {paths!r}
from pathlib import Path
from scaling_trainer.executors.ray.folders import OwnFolder
print(OwnFolder.make(Path({parent!r})).path, flush=True)
sys.stdin.read()
"""


def test_a_killed_process_leaves_a_folder_that_the_next_one_removes(tmp_path: Path) -> None:
    program = HOLD.format(paths=sys.path, parent=str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        held = Path(holder.stdout.readline().strip())
        (held / "session").mkdir()
        foreign = tmp_path / "scaling-ray-foreign"
        foreign.mkdir()
        first = OwnFolder.make(tmp_path)
        assert held.is_dir(), "its process lives"
        holder.kill()
    second = OwnFolder.make(tmp_path)
    assert not held.exists()
    assert first.path.is_dir()
    assert foreign.is_dir(), "without a lock it may be anybody's"
    first.remove()
    second.remove()
    assert list(tmp_path.iterdir()) == [foreign]

"""Storage in memory, in which writes can be lost."""

from pathlib import Path


class MemoryFiles:
    """Files by name."""

    uri = "memory"

    def __init__(self, contents: dict[str, bytes] | None = None) -> None:
        self.contents = dict(contents or {})

    def read(self, name: str) -> bytes:
        try:
            return self.contents[name]
        except KeyError:
            raise FileNotFoundError(name) from None

    def write(self, name: str, content: bytes | Path) -> None:
        self.contents[name] = content if isinstance(content, bytes) else content.read_bytes()

    def fetch(self, name: str, target: Path) -> None:
        target.write_bytes(self.read(name))

    def names(self, folder: str) -> list[str]:
        return sorted(name for name in list(self.contents) if name.startswith(f"{folder}/"))

    def folders(self, folder: str) -> list[str]:
        inner = (name.removeprefix(f"{folder}/") for name in self.names(folder))
        return sorted({name.partition("/")[0] for name in inner if "/" in name})

    def remove(self, name: str) -> None:
        self.contents.pop(name, None)

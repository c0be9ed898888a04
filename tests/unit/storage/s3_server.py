"""A real S3 server on loopback: versitygw (Apache-2.0) over a folder, built from its Go module."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

from pyarrow import fs

from throwaway.build import built
from throwaway.ports import free_port
from throwaway.programs import ALL

ACCESS_KEY: Final = "tester"
SECRET_KEY: Final = "a-secret-of-the-tests"
BUCKET: Final = "sweeps"


class S3Server:
    """A server that can be stopped, frozen and started again on the same port and folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._program = built([ALL["s3"]])[0] / "versitygw"
        self._process: subprocess.Popen[bytes] | None = None
        for made in ("objects", "metadata"):
            (folder / made).mkdir(parents=True)

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which clients find it."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        command = [str(self._program), "--port", f"127.0.0.1:{self.port}", "--quiet"]
        command += ["posix", "--sidecar", str(self.folder / "metadata"), str(self.folder / "objects")]
        environment = os.environ | {"ROOT_ACCESS_KEY_ID": ACCESS_KEY, "ROOT_SECRET_ACCESS_KEY": SECRET_KEY}
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self._wait_until_it_listens()

    def make_bucket(self) -> None:
        files = fs.S3FileSystem(
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
            endpoint_override=f"127.0.0.1:{self.port}",
            scheme="http",
            region="us-east-1",
            allow_bucket_creation=True,
        )
        files.create_dir(BUCKET)

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError((self.folder / "log").read_text())

"""The part of a kubelet that serves the logs of containers, so that the API server has someone to ask."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlparse


class Logs:
    """What containers have written, line by line, each with its time."""

    def __init__(self) -> None:
        self.lines: dict[str, list[str]] = {}
        self.ended: set[str] = set()
        """Pods whose container has ended: nothing more will come."""
        self.cut = threading.Event()
        """Break the connections of those who follow."""
        self.broken = 0
        self.changed = threading.Condition()

    def write(self, pod: str, *texts: str) -> None:
        with self.changed:
            lines = self.lines.setdefault(pod, [])
            for text in texts:
                number = len(lines)
                lines.append(f"2026-11-23T12:00:{number // 10:02}.{number % 10}00000001Z {text}")
            self.changed.notify_all()


class _Handler(BaseHTTPRequestHandler):
    """Answers `GET /containerLogs/NAMESPACE/POD/CONTAINER` as a kubelet does."""

    protocol_version = "HTTP/1.1"
    logs: ClassVar[Logs]

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        url = urlparse(self.path)
        pod, query = url.path.split("/")[3], {k: v[0] for k, v in parse_qs(url.query).items()}
        if query.get("previous") == "true":
            self.send_error(400, f"previous terminated container in pod {pod} not found")
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for lines in self._batches(pod, query):
            if self.logs.cut.is_set():
                self.close_connection = True
                self.logs.broken += 1
                return  # without the last chunk: a broken connection
            for line in lines:
                body = line if query.get("timestamps") == "true" else line.partition(" ")[2]
                raw = f"{body}\n".encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))
        self.wfile.write(b"0\r\n\r\n")

    def _batches(self, pod: str, query: dict[str, str]) -> Iterator[list[str]]:
        """Yield lines as they come; an empty batch where none came for a moment."""
        logs, since = self.logs, query.get("sinceTime", "")
        sent = max(0, len(logs.lines.get(pod, [])) - int(query["tailLines"])) if "tailLines" in query else 0
        while True:
            with logs.changed:
                new = logs.lines.get(pod, [])[sent:]
                if not new and (query.get("follow") != "true" or pod in logs.ended):
                    return
                if not new:
                    logs.changed.wait(0.05)
            sent += len(new)
            yield [line for line in new if line[:19] >= since[:19]]


@contextmanager
def serving_logs(pki: Path) -> Iterator[tuple[int, Logs]]:
    """Serve logs on loopback, with a certificate that the API server trusts; yields the port and the logs."""
    logs = Logs()
    handler = type("Handler", (_Handler,), {"logs": logs})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.socket = _tls(pki).wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield server.server_address[1], logs
    server.shutdown()
    server.server_close()
    thread.join(10)


def _tls(pki: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "server.crt", pki / "server.key")
    return context

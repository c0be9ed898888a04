"""Free ports, and the way from the machine's loopback into the node's network namespace."""

import random
import socket
import threading
from typing import Final

# Below the kernel's ephemeral ports (from 32768): an outgoing connection of another process can't take a chosen port
# before its server does.
CHOICE: Final = range(20_000, 32_000)


def listen() -> socket.socket:
    """Return a socket that listens on a free port of loopback."""
    while True:
        try:
            return socket.create_server(("127.0.0.1", random.choice(CHOICE)))
        except OSError:
            continue


def free_port() -> int:
    """Return a port on which nothing listens."""
    with listen() as server:
        port: int = server.getsockname()[1]
        return port


def forward(listener: socket.socket, port: int) -> None:
    """Pass each connection of the listener on to the port in this network namespace, for ever, in threads."""

    def accept() -> None:
        while True:
            client, _ = listener.accept()
            try:
                server = socket.create_connection(("127.0.0.1", port))
            except OSError:
                client.close()
                continue
            for pair in ((client, server), (server, client)):
                threading.Thread(target=copy, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while received := source.recv(65536):
            target.sendall(received)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, target):
            end.close()

"""The process that starts and watches the components; at level `node` it is init of their namespaces."""

import os
import signal
import socket
import sys

from throwaway import cgroups
from throwaway.components import Components
from throwaway.control_plane import start_control_plane
from throwaway.errors import ClusterError
from throwaway.node import separate_file_system, separate_network, start_containerd, start_node
from throwaway.ports import forward
from throwaway.processes import has_ended
from throwaway.state import State


def supervise(state: State, level: str, *, keeper: str, keeper_fd: int, listener: socket.socket) -> int:
    """Boot, then watch until a component or the keeper ends. Returns an exit status."""
    components = Components(state, keeper_fd)
    try:
        boot(components, level, keeper, listener)
        state.ready.touch()
        components.watch()
    except ClusterError as error:
        print(error, file=sys.stderr, flush=True)
    if has_ended(keeper_fd):
        clean_up(components, level, keeper)
    return 1


def boot(components: Components, level: str, keeper: str, listener: socket.socket) -> None:
    port: int = listener.getsockname()[1]
    if level == "node":
        separate_file_system(components.state)
        separate_network()
        start_containerd(components)
        forward(listener, port)  # it listens outside; the API server will, on the same port inside
    else:
        listener.close()  # it has kept the port free for the API server
    start_control_plane(components, level, port=port)
    if level == "node":
        start_node(components, keeper)


def clean_up(components: Components, level: str, keeper: str) -> None:
    """Do what the keeper would have done, had it not been killed."""
    if level == "node":
        os.kill(-1, signal.SIGKILL)  # init: every process of the namespace but this one
    else:
        components.end()
    cgroups.remove(keeper)
    components.state.remove(but_logs=True)

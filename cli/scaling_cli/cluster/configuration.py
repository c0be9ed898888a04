"""How to reach the API server: a kubeconfig as kubectl reads it, or a pod's own service account."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaling_cli.cluster.options import ClusterOptions
from scaling_cli.errors import CommandError

if TYPE_CHECKING:
    from kubernetes.client import Configuration

INSTALL_CLIENT = "pip install 'scaling-operator[operator]'"
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True)
class Access:
    """An API server and the right to talk to it."""

    configuration: "Configuration"
    """Of the official client: address, certificates, tokens that renew themselves."""
    context: str | None
    """Of the kubeconfig; None in a pod."""
    namespace: str
    """Where a command looks, unless told otherwise."""

    @property
    def place(self) -> str:
        """The API server in words, for messages."""
        context = f" (context {self.context})" if self.context else ""
        return f"the API server {self.configuration.host}{context}"


def access(options: ClusterOptions) -> Access:
    """Return how to reach the cluster that is meant.

    Raises:
        CommandError: the client is not installed, there is no configuration, or it cannot be used.
    """
    _require_client()
    paths = _paths(options)
    if not paths and options.context is None and _is_in_pod():
        return _of_pod(options)
    if not paths:
        raise CommandError(_nothing_found(options))
    return _of_kubeconfig(paths, options)


def _require_client() -> None:
    try:
        import kubernetes.client
        import kubernetes.config  # noqa: F401
    except ImportError as error:
        raise CommandError(
            f"To talk to a cluster the Python package {error.name} is needed; install it with: {INSTALL_CLIENT}."
        ) from None


def _paths(options: ClusterOptions) -> list[Path]:
    """Return the kubeconfig files that exist, first ones first; a file that was named must exist."""
    if options.kubeconfig is not None:
        if not options.kubeconfig.is_file():
            raise CommandError(f"{options.kubeconfig}: there is no such kubeconfig file.")
        return [options.kubeconfig]
    named = [part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    candidates = [Path(part).expanduser() for part in named] or [Path.home() / ".kube/config"]
    return [path for path in candidates if path.is_file()]


def _nothing_found(options: ClusterOptions) -> str:
    named = os.environ.get("KUBECONFIG")
    where = f"KUBECONFIG names {named}, which does not exist" if named else "there is no ~/.kube/config"
    context = f" to look for the context {options.context} in" if options.context else ""
    return (
        f"There is no cluster configuration{context}: {where}, and this is not a pod of a cluster. Name a kubeconfig "
        "file with --kubeconfig or KUBECONFIG."
    )


def _is_in_pod() -> bool:
    return "KUBERNETES_SERVICE_HOST" in os.environ and (_ACCOUNT / "token").is_file()


def _of_pod(options: ClusterOptions) -> Access:
    from kubernetes.client import Configuration
    from kubernetes.config import ConfigException, load_incluster_config

    configuration = Configuration()
    try:
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        own = (_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    except (ConfigException, OSError) as error:
        raise CommandError(f"This pod's service account cannot be used: {error}.") from None
    return Access(configuration, None, options.namespace or own or _DEFAULT_NAMESPACE)


def _of_kubeconfig(paths: Sequence[Path], options: ClusterOptions) -> Access:
    from kubernetes.client import Configuration
    from kubernetes.config import load_kube_config

    source = os.pathsep.join(map(str, paths))
    contexts, current = _contexts(paths)
    name = options.context or current
    context = _context(contexts, name, source=source)
    configuration = Configuration()
    with _said_plainly(source, name) as complaints:
        load_kube_config(  # type: ignore[no-untyped-call]
            config_file=source, context=name, client_configuration=configuration
        )
    if complaints and not configuration.api_key and not configuration.cert_file:
        raise CommandError(_cannot_log_in(name, complaints[-1]))
    return Access(configuration, name, options.namespace or context.get("namespace") or _DEFAULT_NAMESPACE)


def _contexts(paths: Sequence[Path]) -> tuple[dict[str, dict[str, Any]], str | None]:
    """Return the contexts by name and the current one. Of several files the first that says something is right."""
    contexts: dict[str, dict[str, Any]] = {}
    current: str | None = None
    for path in paths:
        config = _read(path)
        current = current or config.get("current-context") or None
        for item in config.get("contexts") or ():
            if isinstance(item, dict) and isinstance(item.get("name"), str):
                contexts.setdefault(item["name"], item.get("context") or {})
    return contexts, current


def _read(path: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        config = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        why = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise CommandError(f"{path}: this kubeconfig cannot be read: {why}.") from None
    if not isinstance(config, dict):
        raise CommandError(f"{path}: this is no kubeconfig; kubectl config view shows what kubectl reads.")
    return config


def _context(contexts: dict[str, dict[str, Any]], name: str | None, *, source: str) -> dict[str, Any]:
    known = ", ".join(contexts) or "none"
    if name is None:
        raise CommandError(
            f"{source}: no context is set; choose one with --context or kubectl config use-context. There are: {known}."
        )
    if name not in contexts:
        near = get_close_matches(name, contexts, n=1)
        advice = f"did you mean {near[0]}?" if near else f"there are: {known}."
        raise CommandError(f"{source}: there is no context {name}; {advice}")
    return contexts[name]


@contextmanager
def _said_plainly(source: str, context: str | None) -> Iterator[list[str]]:
    """Turn what the client raises into a sentence, and collect what it would log: a login program's complaints."""
    from kubernetes.config import ConfigException

    complaints: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: complaints.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    try:
        yield complaints
    except (ConfigException, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CommandError(f"{source}: the context {context} cannot be used: {str(error).rstrip('.')}.") from None
    finally:
        logging.getLogger().removeHandler(handler)


def _cannot_log_in(context: str | None, complaint: str) -> str:
    why = " ".join(complaint.split()).removeprefix("exec: ").rstrip(".")
    return f"The login program of the context {context} gave no credentials ({why}). Log in again, as for kubectl."

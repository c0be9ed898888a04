"""Requests to the API server: the official client's connections, its credentials and its TLS, in threads."""

import asyncio
import json
import os
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeAlias
from urllib.parse import urlencode

import urllib3
from kubernetes import config
from kubernetes.client.configuration import Configuration
from kubernetes.client.rest import RESTClientObject

from scaling_operator.cluster.bucket import TokenBucket
from scaling_operator.cluster.errors import Invalid, Missing, NoCluster, NotLeading, Unavailable, refusal
from scaling_operator.cluster.kinds import Kind, kind_of
from scaling_operator.desired.manifest import Manifest

Query: TypeAlias = Mapping[str, str]
Guard: TypeAlias = Callable[[], float]
"""Returns for how many seconds a write may still be under way; zero or less: it must not be sent."""

THREADS: Final = 16
CONNECT_TIMEOUT_S: Final = 5.0
REQUEST_TIMEOUT_S: Final = 30.0
LARGEST_OBJECT_BYTES: Final = 1_500_000
"""etcd refuses what is larger, with an error that looks as if it would pass."""
USER_AGENT: Final = "scaling-operator"
IN_A_POD: Final = "KUBERNETES_SERVICE_HOST"
STATUS_MANAGER: Final = "scaling-operator-status"

APPLY: Final = "application/apply-patch+yaml"
MERGE: Final = "application/merge-patch+json"
JSON: Final = "application/json"


@dataclass(frozen=True)
class Call:
    """One request."""

    method: str
    path: str
    query: Query = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    content_type: str = JSON

    @property
    def is_write(self) -> bool:
        """It changes something."""
        return self.method != "GET"


def always() -> float:
    """Let every write pass: for one process that runs alone."""
    return REQUEST_TIMEOUT_S


def load_configuration(kubeconfig: str | None = None) -> Configuration:
    """Return where the API server is and who we are: a kubeconfig, or the pod's service account.

    Args:
        kubeconfig: path of the file; without it, the one that KUBECONFIG names now.

    Raises:
        NoCluster: neither is to be had.
    """
    configuration = Configuration()
    path = kubeconfig or os.environ.get("KUBECONFIG")
    try:
        if path or not os.environ.get(IN_A_POD):
            config.load_kube_config(config_file=path, client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except (config.ConfigException, OSError, ValueError) as error:
        raise NoCluster(f"There is no API server to speak to: {error}") from error
    configuration.connection_pool_maxsize = 2 * THREADS  # watches keep theirs
    return configuration


class Client:
    """The API server, for the event loop. Every request waits for the token bucket; every write for the guard."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        bucket: TokenBucket,
        guard: Guard = always,
        on_call: Callable[[str, int], None] = lambda _method, _code: None,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> None:
        self.configuration = configuration
        self._rest = RESTClientObject(configuration)
        self.bucket = bucket
        self._guard, self._on_call, self._timeout_s = guard, on_call, timeout_s
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="api")
        self._credentials = threading.Lock()

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """Return an object as etcd has it; None where there is none."""
        try:
            return await self.call(Call("GET", kind.path(namespace, name)))
        except Missing:
            return None

    async def create(self, manifest: Mapping[str, Any], *, field_manager: str) -> Manifest:
        """Create an object; raise `Taken` where one of its name exists."""
        path = kind_of(manifest).path(manifest["metadata"].get("namespace"))
        return await self.call(Call("POST", path, query={"fieldManager": field_manager}, body=manifest))

    async def apply(self, manifest: Mapping[str, Any], *, field_manager: str) -> Manifest:
        """Create an object or make the fields that are named in it ours."""
        metadata = manifest["metadata"]
        path = kind_of(manifest).path(metadata.get("namespace"), metadata["name"])
        query = {"fieldManager": field_manager, "force": "true"}
        return await self.call(Call("PATCH", path, query=query, body=manifest, content_type=APPLY))

    async def replace(self, manifest: Mapping[str, Any]) -> Manifest:
        """Replace an object, if it is still the one that was read."""
        metadata = manifest["metadata"]
        path = kind_of(manifest).path(metadata.get("namespace"), metadata["name"])
        return await self.call(Call("PUT", path, body=manifest))

    async def write_status(self, experiment: Mapping[str, Any], status: Mapping[str, Any]) -> Manifest:
        """Make this the status of what was read; raise `Taken` where it has changed since."""
        metadata, kind = experiment["metadata"], kind_of(experiment)
        change = merge_patch(experiment.get("status") or {}, status)
        body = {"metadata": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}, "status": change}
        path = kind.path(metadata["namespace"], metadata["name"]) + "/status"
        query = {"fieldManager": STATUS_MANAGER}
        return await self.call(Call("PATCH", path, query=query, body=body, content_type=MERGE))

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str | None = None) -> None:
        """Delete an object and, in the background, what it owns: the one of this uid alone."""
        options: Manifest = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        await self.call(Call("DELETE", kind.path(namespace, name), body=options))

    async def call(self, call: Call) -> Manifest:
        """Send a request; return the answer.

        Raises:
            ClusterError: it was refused, nobody answered, or it must not be sent.
        """
        await self.bucket.take()
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.call_now, call)

    def call_now(self, call: Call) -> Manifest:
        """Send a request from a thread of the caller's, without waiting for a token; return the answer."""
        body = None if call.body is None else _encoded(call.body)
        answer = self._send(call, body, timeout_s=self._time_for(call))
        with closing(answer):
            text = _read(answer)
            if answer.status >= 400:
                raise _refusal(answer, text, call)
        found: Manifest = json.loads(text)
        return found

    def watch(self, path: str, query: Query, *, silence_s: float) -> Iterator[Manifest]:
        """Yield the events of a watch until the server ends it.

        Raises:
            ClusterError: it was refused, or broke, or was silent for longer than `silence_s`.
        """
        call = Call("GET", path, query={**query, "watch": "true"})
        answer = self._send(call, None, timeout_s=silence_s)
        with closing(answer):
            if answer.status >= 400:
                raise _refusal(answer, _read(answer), call)
            yield from _events(answer)

    def identity(self) -> dict[str, str]:
        """Return the headers that say who we are; tokens on disk are read again as they are renewed."""
        with self._credentials:
            token = self.configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        return {"Authorization": token} if token else {}

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """Return how to speak TLS with the API server, for a client of another library."""
        found = self.configuration
        context = ssl.create_default_context(cafile=found.ssl_ca_cert)
        if found.cert_file:
            context.load_cert_chain(found.cert_file, found.key_file)
        if not found.verify_ssl:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def close(self) -> None:
        """Give the connections back."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._rest.close()

    def _time_for(self, call: Call) -> float:
        """Return how long the request may take: a write never outlives what the guard allows."""
        if not call.is_write:
            return self._timeout_s
        allowed_s = min(self._guard(), self._timeout_s)
        if allowed_s <= 0:
            raise NotLeading("This process may no longer be the leader, so nothing is written.")
        return allowed_s

    def _send(self, call: Call, body: bytes | None, *, timeout_s: float) -> urllib3.BaseHTTPResponse:
        query = dict(call.query)
        if call.is_write:
            query["timeout"] = f"{max(1, int(timeout_s))}s"  # the server gives up as well, not the client alone
        url = self.configuration.host + call.path + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": JSON, "Content-Type": call.content_type, "User-Agent": USER_AGENT, **self.identity()}
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=timeout_s)
        try:  # below the client's own `request`, which would encode the body once more
            answer: urllib3.BaseHTTPResponse = self._rest.pool_manager.request(
                call.method, url, headers=headers, body=body, timeout=timeout, preload_content=False, retries=False
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            self._on_call(call.method, 0)
            raise Unavailable(f"The API server does not answer: {error}") from error
        self._on_call(call.method, answer.status)
        return answer


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> Manifest:
    """Return the JSON merge patch (RFC 7386) that makes `new` of `old`; neither has nulls."""
    changed = {
        name: merge_patch(old[name], value) if isinstance(value, dict) and isinstance(old.get(name), dict) else value
        for name, value in new.items()
        if old.get(name) != value
    }
    return {**changed, **dict.fromkeys(old.keys() - new.keys())}


def _encoded(body: Mapping[str, Any]) -> bytes:
    encoded = json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
    if len(encoded) > LARGEST_OBJECT_BYTES:
        kind = body.get("kind", "The object")
        raise Invalid(f"{kind} has {len(encoded):,} bytes, more than the {LARGEST_OBJECT_BYTES:,} that fit.", code=413)
    return encoded


def _read(answer: urllib3.BaseHTTPResponse) -> bytes:
    try:
        return answer.read() or b"{}"
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Unavailable(f"The API server's answer broke off: {error}") from error


def _events(answer: urllib3.BaseHTTPResponse) -> Iterator[Manifest]:
    """Yield one event a line; the last line may be cut off."""
    rest = b""
    try:
        for chunk in answer.stream(2**16, decode_content=True):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (json.loads(line) for line in lines if line)
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise Unavailable(f"The watch broke off: {error}") from error


def _refusal(answer: urllib3.BaseHTTPResponse, text: bytes, call: Call) -> Exception:
    try:
        status = json.loads(text)
        message, reason = str(status.get("message") or ""), str(status.get("reason") or "")
    except (ValueError, AttributeError):
        message, reason = text[:200].decode(errors="replace"), ""
    said = message or f"{call.method} {call.path} was answered with {answer.status}"
    return refusal(answer.status, message=said, reason=reason, retry_after_s=_retry_after(answer))


def _retry_after(answer: urllib3.BaseHTTPResponse) -> float | None:
    try:
        return min(60.0, max(0.0, float(answer.headers.get("Retry-After", ""))))
    except ValueError:
        return None

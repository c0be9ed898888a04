"""Requests to an API server: JSON in, JSON out, and one sentence where it does not work."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from urllib.parse import quote, urlencode

from scaling_api.v1alpha1.base import GROUP, VERSION
from scaling_cli.cluster.configuration import Access, access
from scaling_cli.cluster.errors import RefusedError
from scaling_cli.cluster.options import ClusterOptions
from scaling_cli.cluster.refusals import not_an_api_server, refusal, unreachable

if TYPE_CHECKING:
    import urllib3

Manifest: TypeAlias = dict[str, Any]
EXPERIMENTS, TRIALS = "scalingexperiments", "scalingtrials"
FIELD_MANAGER = "scaling"
PAGE = 500
"""Objects a request: 10,000 trials come in twenty answers, none of which is large."""
_CONNECT_S, _READ_S = 10.0, 60.0
_GONE = 410


def connect(options: ClusterOptions) -> "Cluster":
    """Return the cluster that is meant; nothing is asked of it yet.

    Raises:
        CommandError: there is no usable configuration.
    """
    return Cluster(access(options))


class Cluster:
    """An API server, and the namespace that a command speaks of."""

    def __init__(self, access: Access, *, namespace: str | None = None) -> None:
        self.access = access
        self.namespace = namespace or access.namespace

    def within(self, namespace: str) -> "Cluster":
        """Return the same cluster, speaking of another namespace."""
        return Cluster(self.access, namespace=namespace)

    def everywhere(self) -> "Cluster":
        """Return the same cluster, speaking of all namespaces."""
        cluster = Cluster(self.access)
        cluster.namespace = ""
        return cluster

    def path(self, resource: str, name: str = "", *, group: str = f"{GROUP}/{VERSION}") -> str:
        """Return the path of a kind in the namespace, or of one object; the group of pods is `v1`."""
        root = f"/api/{group}" if "/" not in group else f"/apis/{group}"
        namespace = f"/namespaces/{quote(self.namespace, safe='')}" if self.namespace else ""
        return f"{root}{namespace}/{resource}{'/' + quote(name, safe='') if name else ''}"

    def get(self, path: str, *, what: str, **query: str) -> Manifest:
        """Return an object.

        Raises:
            CommandError: it is refused, or the server cannot be reached.
        """
        return self._json("GET", path, what=what, query=query)

    def items(self, path: str, *, what: str, **query: str) -> tuple[Manifest, ...]:
        """Return the objects of a list, which comes in pages.

        Raises:
            CommandError: it is refused, or the server cannot be reached.
        """
        return self.snapshot(path, what=what, **query)[0]

    def snapshot(self, path: str, *, what: str, **query: str) -> tuple[tuple[Manifest, ...], str]:
        """Return the objects of a list and its version, from which changes can be watched."""
        items: list[Manifest] = []
        token: dict[str, str] = {}
        while True:
            try:
                page = self.get(path, what=what, limit=str(PAGE), **token, **query)
            except RefusedError as error:
                if error.status != _GONE or not token:
                    raise
                items, token = [], {}  # the server has forgotten how the list was when it began
                continue
            items += page.get("items") or ()
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return tuple(items), str(metadata.get("resourceVersion", ""))
            token = {"continue": metadata["continue"]}

    def apply(self, path: str, manifest: Manifest, *, what: str, dry_run: bool) -> Manifest:
        """Apply an object server-side and return it as it is then; nothing is changed by a dry run."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"}
        query |= {"dryRun": "All"} if dry_run else {}
        return self._json("PATCH", path, what=what, query=query, body=manifest, kind="application/apply-patch+yaml")

    def merge(self, path: str, patch: Manifest, *, what: str) -> Manifest:
        """Change fields of an object and return it."""
        query = {"fieldManager": FIELD_MANAGER}
        return self._json("PATCH", path, what=what, query=query, body=patch, kind="application/merge-patch+json")

    def delete(self, path: str, *, uid: str, what: str) -> Manifest:
        """Delete the object of this uid; what it owns goes in the background."""
        options = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        return self._json("DELETE", path, what=what, query={}, body=options, kind="application/json")

    @contextmanager
    def stream(
        self, path: str, *, what: str, query: Mapping[str, str], quiet_s: float
    ) -> "Iterator[urllib3.BaseHTTPResponse]":
        """Open an answer that goes on: a watch, or a log that is followed.

        Args:
            path: of what is read.
            what: it is, in words.
            query: of the request.
            quiet_s: seconds without a byte after which the connection counts as lost.
        """
        response = self._send("GET", path, query=query, read_s=quiet_s, encoding="identity")
        try:
            if response.status >= 400:
                raise refusal(response.status, response.read(), access=self.access, what=what)
            yield response
        finally:
            response.close()

    def _json(
        self,
        method: str,
        path: str,
        *,
        what: str,
        query: Mapping[str, str],
        body: Manifest | None = None,
        kind: str = "",
    ) -> Manifest:
        from urllib3.exceptions import HTTPError

        response = self._send(method, path, query=query, body=body, kind=kind)
        try:
            text = response.read()
        except HTTPError as error:
            raise unreachable(error, self.access) from None
        finally:
            response.release_conn()
        if response.status >= 400:
            raise refusal(response.status, text, access=self.access, what=what)
        try:
            found: Manifest = json.loads(text)
        except ValueError:
            raise not_an_api_server(self.access) from None
        return found

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        body: Manifest | None = None,
        kind: str = "",
        read_s: float = _READ_S,
        encoding: str = "gzip",
    ) -> "urllib3.BaseHTTPResponse":
        import urllib3

        headers = {
            "Accept": "application/json, */*",
            "Accept-Encoding": encoding,
            "User-Agent": "scaling",
        } | self._credentials()
        headers |= {"Content-Type": kind} if kind else {}
        try:
            return self._pool.request(
                method,
                f"{self.access.configuration.host}{path}{'?' + urlencode(query) if query else ''}",
                headers=headers,
                body=None if body is None else json.dumps(body, allow_nan=False).encode(),
                preload_content=False,
                timeout=urllib3.Timeout(connect=_CONNECT_S, read=read_s),
                # An overloaded server says when to come again; a connection that was refused is tried once more.
                retries=urllib3.Retry(
                    3, connect=1, read=0, redirect=0, backoff_factor=0.2, status_forcelist=(429, 503),
                    allowed_methods=("GET",), raise_on_status=False,
                ),
            )  # fmt: skip
        except urllib3.exceptions.HTTPError as error:
            raise unreachable(error, self.access) from None

    def _credentials(self) -> dict[str, str]:
        """Return the header that says who asks; the client renews what has expired."""
        found = cast(dict[str, dict[str, str]], self.access.configuration.auth_settings())
        return {part["key"]: part["value"] for part in found.values() if part["in"] == "header" and part["value"]}

    @cached_property
    def _pool(self) -> "urllib3.PoolManager":
        from kubernetes.client.rest import RESTClientObject

        try:
            pool: urllib3.PoolManager = RESTClientObject(self.access.configuration).pool_manager
        except (OSError, ValueError) as error:
            raise unreachable(error, self.access) from None
        return pool

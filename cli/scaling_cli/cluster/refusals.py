"""What an API server refuses, in a sentence that says what to do."""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scaling_cli.cluster.errors import RefusedError, UnreachableError

if TYPE_CHECKING:
    from scaling_cli.cluster.configuration import Access

INSTALL_CRDS = (
    "helm install scaling-operator charts/scaling-operator, or kubectl apply --server-side --force-conflicts "
    "-f charts/scaling-operator/crds"
)
_FORBIDDEN = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)"| at the cluster scope)?'
)

_INVALID = re.compile(r"^Invalid value: (?:(?:\"[^\"]*\"|\{.*?\}|\[.*?\]|-?[\d.eE+-]+|true|false|null): )?")


def refusal(status: int, body: bytes, *, access: "Access", what: str) -> RefusedError:
    """Return why a request was refused.

    Args:
        status: of HTTP.
        body: a metav1.Status, as a rule.
        access: where it was refused.
        what: that was asked for, such as `the experiment tiny`.
    """
    answer = _status(body)
    message, reason = str(answer.get("message", "")), str(answer.get("reason", ""))
    if status == 404 and not answer.get("details", {}).get("name"):
        return RefusedError(_unknown_kind(access, what), status=status, is_kind_missing=True)
    match status:
        case 401:
            text = _expired(access)
        case 403:
            text = _forbidden(message, access=access)
        case 404 if answer.get("details", {}).get("kind") == "namespaces":
            text = f"There is no namespace {answer['details']['name']}: create it, or name another with --namespace."
        case 404:
            text = f"There is no such object: {message}." if message else f"{what} is not there."
        case 422:
            text = f"The API server does not accept {what}:\n{_causes(answer) or message}"
        case 429:
            text = f"{_upper(access.place)} has too much to do at the moment; try again."
        case _:
            said = message or body[:200].decode(errors="replace").strip() or "nothing"
            text = f"{_upper(access.place)} answered {status} to a request for {what}: {said.rstrip('.')}."
    return RefusedError(text, status=status, reason=reason)


def unreachable(error: Exception, access: "Access") -> UnreachableError:
    """Return why there was no answer."""
    why = _why(error)
    return UnreachableError(
        f"{_upper(access.place)} cannot be reached: {why}. Is the cluster up, and the network to it (VPN, proxy)?"
    )


def not_an_api_server(access: "Access") -> UnreachableError:
    """Return that something else answered, such as a proxy's login page."""
    return UnreachableError(
        f"What answers at {access.configuration.host} is not a Kubernetes API server; see the cluster's address in "
        "the kubeconfig."
    )


def _status(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    if not isinstance(found, dict) or found.get("kind") != "Status":
        return {}
    return {**found, "details": found.get("details") or {}}


def _unknown_kind(access: "Access", what: str) -> str:
    return (
        f"{_upper(access.place)} does not know {what}: the scaling operator is not installed there. Install it: "
        f"{INSTALL_CRDS}."
    )


def _expired(access: "Access") -> str:
    return (
        f"{_upper(access.place)} does not accept these credentials; they may have expired. Log in to the "
        "cluster again, as for kubectl."
    )


def _forbidden(message: str, *, access: "Access") -> str:
    found = _FORBIDDEN.search(message)
    if found is None:
        return f"{_upper(access.place)} forbids this: {message.rstrip('.')}."
    resource = f"{found['resource']}.{found['group']}" if found["group"] else found["resource"]
    where = f"in the namespace {found['namespace']}" if found["namespace"] else "in all namespaces"
    return (
        f"{found['user']} may not {found['verb']} {resource} {where}. Ask the cluster's administrator for the verb "
        f"{found['verb']} on {resource}, or name another namespace with --namespace."
    )


def _causes(answer: Mapping[str, Any]) -> str:
    """Return a line for each mistake, as `scaling validate` writes them."""
    causes = answer.get("details", {}).get("causes") or []
    lines = [f"{cause.get('field', '')}: {_plain(str(cause.get('message', '')))}".strip(": ") for cause in causes]
    return "\n".join(dict.fromkeys(lines))


def _plain(message: str) -> str:
    """Return the message without what the API server puts before the rule's own."""
    return _INVALID.sub("", message)


def _why(error: BaseException) -> str:
    """Return the innermost reason: urllib3 wraps several times."""
    from urllib3 import exceptions

    while isinstance(error, exceptions.MaxRetryError) and error.reason is not None:
        error = error.reason
    words = _last_words(error)
    known: dict[type[Exception], str] = {
        exceptions.NameResolutionError: "its name is not known here",
        exceptions.SSLError: f"its certificate is not accepted ({words})",
        exceptions.ProxyError: f"the proxy does not let it through ({words})",
        exceptions.NewConnectionError: words.lower(),
        exceptions.TimeoutError: "it does not answer in time",
        exceptions.ProtocolError: "the connection broke",
    }
    return next((text for kind, text in known.items() if isinstance(error, kind)), words)


def _last_words(error: BaseException) -> str:
    text = re.sub(r"^.*\[Errno -?\d+\] ", "", str(error).rstrip(".)'\""))
    return re.sub(r"^\(.*?, '|^<[^>]*>: ", "", text) or type(error).__name__


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]

import json
from typing import Any

import pytest
import urllib3
from kubernetes.client import Configuration

from scaling_cli.cluster.configuration import Access
from scaling_cli.cluster.refusals import refusal, unreachable
from scaling_cli.errors import ExitCode


@pytest.fixture
def access() -> Access:
    return Access(Configuration(host="https://k8s.example.com"), "prod", "ml")


def said(access: Access, status: int, body: dict[str, Any] | bytes) -> str:
    raw = body if isinstance(body, bytes) else json.dumps({"kind": "Status", **body}).encode()
    return str(refusal(status, raw, access=access, what="the experiment tiny in the namespace ml"))


FORBIDDEN = (
    'scalingexperiments.scalinglaws.dev "tiny" is forbidden: User "ann" cannot patch resource "scalingexperiments" in '
    'API group "scalinglaws.dev" in the namespace "ml"'
)


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (401, {"message": "Unauthorized"}, "credentials; they may have expired. Log in to the cluster again"),
        (403, {"message": FORBIDDEN}, "ann may not patch scalingexperiments.scalinglaws.dev in the namespace ml. Ask"),
        (403, {"message": "no entry"}, "The API server https://k8s.example.com (context prod) forbids this: no entry."),
        (
            404,
            b"404 page not found\n",
            "does not know the experiment tiny in the namespace ml: the scaling operator is",
        ),
        (404, {"message": "x", "details": {"name": "ml", "kind": "namespaces"}}, "There is no namespace ml: create it"),
        (429, {"message": "busy"}, "has too much to do at the moment; try again."),
        (500, {"message": "etcdserver: request timed out"}, "answered 500 to a request for the experiment tiny"),
        (502, b"<html>Bad Gateway</html>", "answered 502 to a request for the experiment tiny"),
    ],
)
def test_each_refusal_is_a_sentence(access: Access, status: int, body: Any, sentence: str) -> None:
    assert sentence in said(access, status, body)


def test_mistakes_are_named_field_by_field(access: Access) -> None:
    causes = [
        {"field": "spec.task", "message": 'Invalid value: "object": task is immutable'},
        {"field": "spec.sweep.seeds", "message": "Invalid value: 0: must be at least 1"},
    ]
    text = said(access, 422, {"message": "many words", "details": {"name": "tiny", "causes": causes}})
    assert text.splitlines()[1:] == ["spec.task: task is immutable", "spec.sweep.seeds: must be at least 1"]


@pytest.mark.parametrize(("status", "code"), [(403, 2), (404, 2), (422, 2), (429, 5), (500, 5), (503, 5)])
def test_what_may_work_later_has_a_code_of_its_own(access: Access, status: int, code: int) -> None:
    assert refusal(status, b"", access=access, what="it").exit_code == code


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (urllib3.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"), "not accepted"),
        (urllib3.exceptions.ConnectTimeoutError(), "it does not answer in time"),
        (urllib3.exceptions.ProtocolError("Connection aborted."), "the connection broke"),
    ],
)
def test_why_there_is_no_answer(access: Access, error: Exception, why: str) -> None:
    wrapped = urllib3.exceptions.MaxRetryError(None, "/api", error)  # type: ignore[arg-type]
    found = unreachable(wrapped, access)
    assert why in str(found)
    assert found.exit_code is ExitCode.UNREACHABLE

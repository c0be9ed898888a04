"""What strangers, broken clients and slow ones get: a refusal in a sentence, while trials go on."""

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from driving import TOKEN, Client, Driving, RefusedError, plan
from scripted_plan import family, trial

from scaling_api.driver_protocol import LARGEST_PLAN_BYTES, MOST_ROWS, DriverPhase

Make = Callable[..., Driving]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driving]:
    folder = tmp_path_factory.mktemp("requests")
    made = Driving(storage=str(folder / "storage"), folder=folder / "driver").started()
    made.client.put(plan(family(2)))
    made.finished()
    yield made
    made.kill()


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "\xff\xfe"])
@pytest.mark.parametrize("path", ["/v1/state", "/v1/rows", "/v1/plan", "/v1/nothing"])
def test_a_wrong_token_is_refused_everywhere(driver: Driving, token: str | None, path: str) -> None:
    method = "PUT" if path.endswith("plan") else "GET"
    with pytest.raises(RefusedError, match="401"):
        Client(driver.port, token).call(method, path, b"{}" if method == "PUT" else None)


def test_health_and_metrics_need_no_token(driver: Driving) -> None:
    nobody = Client(driver.port, None)
    assert nobody.call("GET", "/healthz") == "ok\n"
    text = nobody.call("GET", "/metrics")
    assert 'scaling_driver_trials{state="Succeeded"} 12.0' in text
    assert TOKEN not in text


def test_metrics_are_what_prometheus_reads(driver: Driving) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    families = {family.name: family for family in text_string_to_metric_families(driver.client.call("GET", "/metrics"))}
    assert all(family.documentation for family in families.values())
    assert families["scaling_driver_training_flops"].type == "counter"


BODIES = {
    "nothing": b"",
    "half a JSON": plan(family(1)).model_dump_json(exclude_none=True).encode()[:-200],
    "another kind": b'{"hello": 1}',
    "a list": b"[]",
    "not text": b"\xff\x00\xfe" * 100,
    "deep": b"[" * 200_000,
    "unknown fields": plan(()).model_dump_json(exclude_none=True).encode()[:-1] + b',"more":1}',
    "a wrong type": plan(()).model_dump_json(exclude_none=True).encode().replace(b'"revision":1', b'"revision":"1"'),
    "a number that is none": plan(()).model_dump_json().encode().replace(b'"revision":1', b'"revision":NaN'),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_body_that_is_no_plan_is_refused_in_a_sentence(driver: Driving, body: bytes) -> None:
    before = driver.client.state()
    with pytest.raises(RefusedError, match="400") as refusal:
        driver.client.call("PUT", "/v1/plan", body)
    assert refusal.value.sentence.startswith("The body is no plan: ")
    assert len(refusal.value.sentence) <= 2000
    assert driver.client.state().plan_hash == before.plan_hash


@contextmanager
def connected(driver: Driving) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", driver.port), timeout=30) as connection:
        yield connection


def head(*more: str, token: str = TOKEN) -> bytes:
    lines = ("PUT /v1/plan HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", *more)
    return "\r\n".join([*lines, "", ""]).encode()


def answer(connection: socket.socket) -> tuple[int, str]:
    received = b""
    while b"\r\n\r\n" not in received or not received.rstrip().endswith((b"}", b".")):
        piece = connection.recv(65536)
        if not piece:
            break
        received += piece
    return int(received.split(b" ", 2)[1]), received.partition(b"\r\n\r\n")[2].decode()


def test_a_body_of_100_megabytes_is_refused_before_it_is_read(driver: Driving) -> None:
    with connected(driver) as connection:
        connection.sendall(head("Content-Length: 100000000"))
        status, body = answer(connection)
    assert status == 413
    assert f"{LARGEST_PLAN_BYTES:,}" in json.loads(body)["error"]


def test_a_body_of_unknown_length_ends_at_the_limit(driver: Driving) -> None:
    with connected(driver) as connection:
        connection.sendall(head("Transfer-Encoding: chunked"))
        sent = pour(connection, b"100000\r\n" + b" " * 0x100000 + b"\r\n", most=2 * LARGEST_PLAN_BYTES)
    assert LARGEST_PLAN_BYTES // 2 < sent < LARGEST_PLAN_BYTES + 2**25


def pour(connection: socket.socket, piece: bytes, *, most: int) -> int:
    """Send a piece again and again until the other side has had enough; return the bytes sent."""
    sent = 0
    with suppress(BrokenPipeError, ConnectionResetError):
        while sent < most and not select.select([connection], [], [], 0)[0]:
            connection.sendall(piece)
            sent += len(piece)
    return sent


def test_a_wrong_token_is_refused_before_the_body_is_read(driver: Driving) -> None:
    with connected(driver) as connection:
        connection.sendall(head("Content-Length: 50000000", token="wrong"))
        assert answer(connection)[0] == 401
    with connected(driver) as connection:
        connection.sendall(head("Content-Length: 50000000", "Expect: 100-continue", token="wrong"))
        assert answer(connection)[0] == 401


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n" * 3])
def test_what_is_not_http_does_no_harm(driver: Driving, garbage: bytes) -> None:
    with connected(driver) as connection:
        connection.sendall(garbage)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    assert driver.client.state().phase is DriverPhase.FINISHED


def test_headers_without_end_are_refused(driver: Driving) -> None:
    with connected(driver) as connection:
        connection.sendall(b"GET /v1/state HTTP/1.1\r\nX: " + b"a" * 100_000)
        assert answer(connection)[0] == 400


@pytest.mark.parametrize(
    "query",
    ["after=-1", "after=x", "after=1.5", "after=99999999999999999999", "after=٣", "wait=x", "wait=nan", "wait=-1"],
)
def test_a_wrong_cursor_is_refused(driver: Driving, query: str) -> None:
    from urllib.parse import quote

    with pytest.raises(RefusedError, match="400"):
        driver.client.call("GET", f"/v1/rows?{quote(query, safe='=')}")


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/nothing"), ("POST", "/v1/plan"), ("DELETE", "/v1/state")])
def test_what_is_not_answered_is_said(driver: Driving, method: str, path: str) -> None:
    with pytest.raises(RefusedError, match=r"40[45]"):
        driver.client.call(method, path)


def test_an_unknown_epoch_reads_from_the_beginning(driver: Driving) -> None:
    rows = driver.client.rows()
    for epoch in ("", "000099-ffffffff", "nonsense"):
        page = driver.client.page(epoch, after=5)
        assert [row.number for row in page.rows] == [row.number for row in rows[:MOST_ROWS]]


def test_a_cursor_beyond_the_last_row_waits_and_gets_none(driver: Driving) -> None:
    state = driver.client.state()
    begin = time.monotonic()
    page = driver.client.page(state.epoch, after=state.last_row + 100, wait_s=0.3)
    assert page.rows == ()
    assert 0.25 < time.monotonic() - begin < 15


def test_a_reader_that_waits_gets_a_row_at_once(driving: Make) -> None:
    driver = driving().started()
    epoch, got = driver.client.state().epoch, list[float]()

    def read() -> None:
        if driver.client.page(epoch, 0, wait_s=20).rows:
            got.append(time.monotonic())

    readers = [threading.Thread(target=read) for _ in range(20)]
    for reader in readers:
        reader.start()
    time.sleep(0.3)
    driver.client.put(plan([trial("one")]))
    for reader in readers:
        reader.join()
    assert len(got) == 20
    assert max(got) - min(got) < 10, "they were answered by the end of their wait"


def test_a_slow_client_is_cut_off_and_holds_nobody_up(driving: Make) -> None:
    driver = driving().started()
    idle = [socket.create_connection(("127.0.0.1", driver.port)) for _ in range(40)]
    for number, connection in enumerate(idle):
        if number % 2:
            connection.sendall(b"GET /v1/state HTTP/1.1\r\nHost:")
    begin = time.monotonic()
    driver.client.put(plan(family(2)))
    driver.finished()
    assert time.monotonic() - begin < 60
    for connection in idle:
        connection.settimeout(15)
        with suppress(ConnectionResetError):
            assert connection.recv(10) == b""
        connection.close()
    assert 4 < time.monotonic() - begin < 60


def test_a_request_that_drips_its_headers_is_cut_off(driver: Driving) -> None:
    with connected(driver) as connection:
        begin = time.monotonic()
        with suppress(BrokenPipeError, ConnectionResetError):
            for letter in b"GET /v1/state HTTP/1.1\r\nX-Slow: " + b"a" * 200:
                connection.send(bytes([letter]))
                time.sleep(0.2)
    assert 4 < time.monotonic() - begin < 30


def test_more_connections_than_are_served_do_not_stop_it(driver: Driving) -> None:
    many = [socket.create_connection(("127.0.0.1", driver.port)) for _ in range(400)]
    for connection in many:
        connection.close()
    driver.wait_until(lambda: driver.client.state().phase is DriverPhase.FINISHED)


def test_each_kind_of_refusal_is_logged_once(driving: Make) -> None:
    driver = driving().started()
    for _ in range(20):
        with pytest.raises(RefusedError):
            Client(driver.port, "wrong").state()
    assert driver.log.count("wrong one") == 1

"""Requests that come through the API server, which keeps the header Authorization for itself."""

import http.client
from collections.abc import Iterator

import pytest
from driving import TOKEN, Driving

from scaling_api.driver_protocol import PROXIED_TOKEN_HEADER


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driving]:
    folder = tmp_path_factory.mktemp("proxied")
    made = Driving(storage=str(folder / "storage"), folder=folder / "driver").started()
    yield made
    made.kill()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({PROXIED_TOKEN_HEADER: f"Bearer {TOKEN}"}, 200),
        ({PROXIED_TOKEN_HEADER: f"Bearer {TOKEN}", "Authorization": "Bearer of-the-api-server"}, 200),
        ({PROXIED_TOKEN_HEADER: "Bearer wrong", "Authorization": f"Bearer {TOKEN}"}, 401),
        ({PROXIED_TOKEN_HEADER: ""}, 401),
    ],
)
def test_the_token_may_come_in_a_header_of_its_own(driver: Driving, headers: dict[str, str], status: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", driver.port, timeout=30)
    connection.request("GET", "/v1/state", headers=headers)
    assert connection.getresponse().status == status
    connection.close()

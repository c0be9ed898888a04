"""Probes and metrics over HTTP: they answer when the event loop does not."""

import asyncio
import socket
import time
import urllib.error
import urllib.request

from scaling_operator.probes import STOPPED_S, UNHEARD_S, Health, Heart, ProbeServer, unheard


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_page_says_why_it_is_not_ready() -> None:
    health = Health()
    reasons: list[str | None] = ["A candidate.", None]
    health.ready.append(lambda: reasons[0])
    server = ProbeServer(0, {"/livez": health.livez, "/readyz": health.readyz})
    server.start()
    try:
        assert get(server.port, "/livez") == (200, "ok\n")
        assert get(server.port, "/readyz?verbose=1") == (503, "A candidate.\n")
        reasons[0] = None
        assert get(server.port, "/readyz") == (200, "ok\n")
        assert get(server.port, "/else")[0] == 404
    finally:
        server.stop()


def test_a_stuck_loop_is_found_dead_by_a_server_that_still_answers() -> None:
    now = [0.0]
    heart = Heart(clock=lambda: now[0])
    health = Health(live=[heart.why_dead])
    server = ProbeServer(0, {"/livez": health.livez})
    server.start()

    async def stuck() -> tuple[int, str]:
        task = asyncio.create_task(heart.beat())
        await asyncio.sleep(0.05)
        now[0] += STOPPED_S + 1  # the loop does not come round meanwhile
        found = get(server.port, "/livez")
        task.cancel()
        return found

    try:
        status, text = asyncio.run(stuck())
        assert status == 503
        assert "31 s" in text
    finally:
        server.stop()


def test_a_silent_client_does_not_keep_others_waiting() -> None:
    server = ProbeServer(0, {"/livez": Health().livez})
    server.start()
    try:
        with socket.create_connection(("127.0.0.1", server.port)):
            began = time.monotonic()
            assert get(server.port, "/livez")[0] == 200
            assert time.monotonic() - began < 20
    finally:
        server.stop()


def test_a_watch_that_has_brought_nothing_for_long_is_named() -> None:
    assert unheard({"pods": 10.0}) is None
    assert unheard({"pods": UNHEARD_S + 1, "rayjobs": 3.0}) == "Nothing was heard of pods for 301 s."


def test_probes_are_answered_by_both_internet_protocols() -> None:
    server = ProbeServer(0, {"/livez": Health().livez})
    server.start()
    try:
        for host in ["127.0.0.1", *(["[::1]"] if socket.has_dualstack_ipv6() else [])]:
            with urllib.request.urlopen(f"http://{host}:{server.port}/livez", timeout=5) as answer:
                assert answer.status == 200
    finally:
        server.stop()

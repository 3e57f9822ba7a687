"""Programs over every kind of connection: addresses of both families, Unix sockets, proxies, TLS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from servers import RecordingServer, assert_same_exchange
from servers.programs import run_instrumented_program
from servers.releases import AIOHTTP_COUNTS_HEADS
from servers.server import unused_port
from servers.tunnel import TunnelProxy

if TYPE_CHECKING:
    from pathlib import Path

_REQUESTS = """
    import os, warnings, requests
    from harness import BASE, CA
    warnings.simplefilter("ignore")  # of requests, about certificates that nobody verifies
    proxy = os.environ.get("TEST_PROXY")
    with requests.Session() as session:
        session.trust_env = False
        session.verify = CA if os.environ.get("TEST_VERIFY", "yes") == "yes" else False
        session.proxies = {"http": proxy, "https": proxy} if proxy else {}
        for path in os.environ["TEST_PATHS"].split():
            try:
                print(len(session.get(BASE + path).content))
            except requests.RequestException as error:
                print(type(error).__name__)
"""
_AIOHTTP = """
    import asyncio, os, ssl, aiohttp
    from harness import BASE, CA
    context = ssl.create_default_context(cafile=CA) if BASE.startswith("https") else None
    if os.environ.get("TEST_VERIFY", "yes") != "yes":
        context = False
    path = os.environ.get("TEST_SOCKET")
    async def main():
        connector = aiohttp.UnixConnector(path) if path else aiohttp.TCPConnector()
        async with aiohttp.ClientSession(connector=connector) as session:
            options = {"proxy": os.environ.get("TEST_PROXY")}
            if context is not None:
                options["ssl"] = context
            for target in os.environ["TEST_PATHS"].split():
                try:
                    async with session.get(BASE + target, **options) as response:
                        print(len(await response.read()))
                except aiohttp.ClientError as error:
                    print(type(error).__name__)
    asyncio.run(main())
"""
PROGRAMS = {"requests": _REQUESTS, "aiohttp": _AIOHTTP}
PATHS = "/json /gzip /bytes/1000000 /close /json"

both_clients = pytest.mark.parametrize("client", PROGRAMS)


def _entries(server: RecordingServer, directory: Path, client: str, **env: str) -> list[dict[str, Any]]:
    run = run_instrumented_program(server, directory, PROGRAMS[client], env={"TEST_PATHS": PATHS, **env})
    assert (0, "") == (run.returncode, run.stderr)
    return run.entries


@both_clients
def test_ipv6(tmp_path: Path, client: str) -> None:
    """The address of the server is there without brackets, and the URL has them."""
    with RecordingServer(host="::1") as server:
        entries = _entries(server, tmp_path, client)
        for entry, exchange in zip(entries, server.exchanges, strict=True):
            assert_same_exchange(entry, exchange, server)
        assert {("::1", str(server.port))} == {(entry["serverIPAddress"], entry["connection"]) for entry in entries}


@both_clients
def test_a_server_that_closes_at_once(tmp_path: Path, client: str) -> None:
    """Its address is known although the connection has gone by the time the program gets the answer."""
    with RecordingServer() as server:
        entries = _entries(server, tmp_path, client, TEST_PATHS="/close /http10 /close")
        for entry, exchange in zip(entries, server.exchanges, strict=True):
            assert_same_exchange(entry, exchange, server)
        assert [server.port] * 3 == [entry.get("_serverPort") for entry in entries]


def test_a_unix_socket(tmp_path: Path) -> None:
    """An exchange over a Unix socket names the socket, and neither address nor port."""
    path = tmp_path / "s"
    with RecordingServer(socket_path=path) as server:
        entries = _entries_over_unix_socket(server, tmp_path, path)
        heads = [len(exchange.request.head) for exchange in server.exchanges]
    assert [(str(path), None, None)] * 5 == [
        (entry["_socketPath"], entry.get("serverIPAddress"), entry.get("connection")) for entry in entries
    ]
    assert heads == [entry["request"]["headersSize"] for entry in entries]
    assert entries[0]["_connectionId"] == entries[1]["_connectionId"]


def _entries_over_unix_socket(server: RecordingServer, directory: Path, path: Path) -> list[dict[str, Any]]:
    return _entries(server, directory, "aiohttp", TEST_SOCKET=str(path))


@both_clients
def test_a_proxy_for_http(tmp_path: Path, client: str) -> None:
    """The URL is the origin's, the address and the port are the proxy's, the head is the one that the proxy saw."""
    with RecordingServer() as proxy:
        env = {"TEST_PROXY": f"http://user:secret@127.0.0.1:{proxy.port}", "TEST_BASE": "http://origin.invalid:8080"}
        entries = _entries(proxy, tmp_path, client, **env)
        seen = [exchange.request for exchange in proxy.exchanges]
    assert [request.target for request in seen] == [entry["request"]["url"] for entry in entries]
    heads = [len(request.head) for request in seen]
    if client == "aiohttp" and not AIOHTTP_COUNTS_HEADS:
        heads = [-1 if "_proxy" not in entry else head for entry, head in zip(entries, heads, strict=True)]
    assert heads == [entry["request"]["headersSize"] for entry in entries]
    assert [("127.0.0.1", proxy.port)] * 5 == [(entry["serverIPAddress"], entry["_serverPort"]) for entry in entries]
    known = [entry["_proxy"] for entry in entries if "_proxy" in entry]
    assert {f"http://127.0.0.1:{proxy.port}"} == set(known)
    assert client == "aiohttp" or len(entries) == len(known)


@both_clients
def test_a_proxy_for_https(tmp_path: Path, client: str) -> None:
    """Through CONNECT the exchange is the origin's, byte for byte, with the origin's TLS; connect has it all."""
    with RecordingServer(tls=True) as server, TunnelProxy() as proxy:
        entries = _entries(server, tmp_path, client, TEST_PROXY=proxy.url, TEST_PATHS="/json /bytes/100000 /json")
        heads = [len(exchange.request.head) for exchange in server.exchanges]
        targets = [server.url(exchange.request.target) for exchange in server.exchanges]
    assert 1 == len(proxy.heads)
    assert heads == [entry["request"]["headersSize"] for entry in entries]
    assert targets == [entry["request"]["url"] for entry in entries]
    assert [("127.0.0.1", proxy.port)] * 3 == [(entry["serverIPAddress"], entry["_serverPort"]) for entry in entries]
    assert ["localhost"] * 3 == [entry["_securityDetails"]["subjectName"] for entry in entries]
    assert entries[0]["timings"]["connect"] > 0
    assert 1 == len({entry["_connectionId"] for entry in entries})


@both_clients
def test_a_proxy_that_refuses(tmp_path: Path, client: str) -> None:
    """There is no response of the origin: what the proxy said is the error, and where it happened is known."""
    with RecordingServer(tls=True) as server, TunnelProxy(refuse=True) as proxy:
        [entry] = _entries(server, tmp_path, client, TEST_PROXY=proxy.url, TEST_PATHS="/json")
        assert [] == server.exchanges
    assert 0 == entry["response"]["status"]
    assert "403" in entry["response"]["_error"]
    assert ("127.0.0.1", proxy.port, proxy.url) == (entry["serverIPAddress"], entry["_serverPort"], entry["_proxy"])
    assert entry["timings"]["connect"] > 0


@both_clients
def test_a_proxy_before_a_server_that_is_not_trusted(tmp_path: Path, client: str) -> None:
    """The handshake through the proxy fails: address, port and URL are the proxy's, as ever."""
    with RecordingServer(tls=True) as server, RecordingServer(tls=True) as other, TunnelProxy() as proxy:
        authority = tmp_path / "other.pem"
        authority.write_bytes(other.ca_pem)
        [entry] = _entries(server, tmp_path, client, TEST_PROXY=proxy.url, TEST_PATHS="/json", TEST_CA=str(authority))
    assert "CERTIFICATE_VERIFY_FAILED" in entry["response"]["_error"]
    assert ("127.0.0.1", proxy.port, proxy.url) == (entry["serverIPAddress"], entry["_serverPort"], entry["_proxy"])


def test_a_proxy_that_is_not_there(tmp_path: Path) -> None:
    """What aiohttp raises says where it wanted to connect to; requests tells of a proxy only what it sends to one."""
    url = f"http://127.0.0.1:{unused_port()}"
    with RecordingServer() as server:
        [entry] = _entries(server, tmp_path, "aiohttp", TEST_PROXY=url, TEST_PATHS="/json")
    assert ("127.0.0.1", url) == (entry["serverIPAddress"], entry["_proxy"])


@both_clients
def test_tls_details(tmp_path: Path, client: str) -> None:
    """Version, cipher, names and validity of the certificate that was verified."""
    with RecordingServer(tls=True) as server:
        entries = _entries(server, tmp_path, client, TEST_PATHS="/bytes/100000 /json")
    for entry in entries:
        details = entry["_securityDetails"]
        assert ("TLS 1.3", "localhost") == (details["protocol"], details["subjectName"])
        assert details["issuer"].startswith("trustme")
        assert details["validFrom"] < details["validTo"]


@both_clients
def test_tls_that_nobody_verified(tmp_path: Path, client: str) -> None:
    """Version and cipher are known, the certificate is not."""
    with RecordingServer(tls=True) as server:
        entries = _entries(server, tmp_path, client, TEST_PATHS="/bytes/100000", TEST_VERIFY="no")
    assert [{"protocol", "cipher"}] == [set(entry["_securityDetails"]) for entry in entries]


@both_clients
def test_a_certificate_that_is_refused(tmp_path: Path, client: str) -> None:
    """A handshake that fails has the reason, the address, and its time in connect."""
    with RecordingServer(tls=True) as server, RecordingServer(tls=True) as other:
        (tmp_path / "other").mkdir()
        [entry] = _entries(other, tmp_path, client, TEST_BASE=server.url(""), TEST_PATHS="/json")
        assert [] == server.exchanges
        assert ("127.0.0.1", server.port) == (entry["serverIPAddress"], entry["_serverPort"])
    assert "CERTIFICATE_VERIFY_FAILED" in entry["response"]["_error"]
    assert entry["timings"]["connect"] > 0


def test_security_details_are_json(tmp_path: Path) -> None:
    """Times are whole seconds, as browsers write them."""
    with RecordingServer(tls=True) as server:
        [entry] = _entries(server, tmp_path, "requests", TEST_PATHS="/json")
    assert all(isinstance(entry["_securityDetails"][name], int) for name in ("validFrom", "validTo"))
    assert json.loads(json.dumps(entry)) == entry

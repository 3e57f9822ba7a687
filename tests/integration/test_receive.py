"""`otel-har receive` as a process: what it says, what it writes, how it ends."""

from __future__ import annotations

import gzip
import os
import signal
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from otel_har.cli.app import app
from otel_har.otlp.json_form import json_from_request
from otel_har.otlp.logs import Origin
from servers.programs import read_checked
from servers.receiving import SHOP, Receiving, entry, receiving, request

TOKEN = {"OTEL_HAR_RECEIVE_TOKEN": "let me in"}


def send(receiver: Receiving, number: int, origin: Origin = SHOP, token: str = "") -> int:
    """Send an entry over HTTP, as JSON: the status."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    body = gzip.compress(json_from_request(request(entry(number), origin=origin)))
    asked = urllib.request.Request(f"http://{receiver.http}/v1/logs", body, headers)
    try:
        with urllib.request.urlopen(asked) as answer:  # noqa: S310 - the test's
            return int(answer.status)
    except urllib.error.HTTPError as fault:
        with fault:
            return fault.code


def urls(path: Path) -> list[str]:
    """What a file has."""
    return [one["request"]["url"].rpartition("/")[2] for one in read_checked(path)["log"]["entries"]]


def refused(*arguments: str) -> str:
    """What it says when it does not start, in this process."""
    done = CliRunner().invoke(app, ["receive", *arguments])
    assert 2 == done.exit_code, done.output
    return done.output.strip().splitlines()[-1]


def test_answered_is_written(tmp_path: Path) -> None:
    """When a request is answered with OK its entries are in the file: killed then, the receiver has lost nothing.

    One that starts again goes on with the file; `--new` begins it anew.
    """
    path = tmp_path / "out.har"
    for number, options in ((1, []), (2, []), (3, ["--new"])):
        receiver = Receiving(*options, path)
        assert 200 == send(receiver, number)
        written = urls(path)
        assert -signal.SIGKILL == receiver.end(signal.SIGKILL)
        assert (["1"], ["1", "2"], ["3"])[number - 1] == written == urls(path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_end(tmp_path: Path, number: int) -> None:
    """Asked to end it answers those who wait, closes the files and says what it did, by service here."""
    with receiving("--split", "service", tmp_path / "out.har") as receiver:
        origins = [Origin({"service.name": name}) for name in ("shop", "../stock")]
        with ThreadPoolExecutor(8) as threads:
            statuses = list(threads.map(lambda index: send(receiver, index, origins[index % 2]), range(40)))
        assert [200] * 40 == statuses
        assert 200 == send(receiver, 0)
        assert 0 == receiver.end(number)
    names = sorted(path.name for path in tmp_path.glob("*.har"))
    assert (2, "out.shop.har") == (len(names), names[1])
    assert {str(index) for index in range(0, 40, 2)} == set(urls(tmp_path / "out.shop.har"))
    assert 20 == len(urls(tmp_path / names[0]))
    assert receiver.summary == "otel-har: 40 entries in 41 requests, 1 came twice"


def test_token(tmp_path: Path) -> None:
    """The token comes from the environment or a file; without it nothing is taken."""
    path = tmp_path / "out.har"
    with receiving(path, environment={**os.environ, **TOKEN}) as receiver:
        assert (401, 401, 200) == tuple(send(receiver, 1, token=token) for token in ("", "x", "let me in"))
    (tmp_path / "token").write_text("of a file\n", "utf-8")
    with receiving("--token-file", tmp_path / "token", path) as receiver:
        assert (401, 200) == tuple(send(receiver, 2, token=token) for token in ("let me in", "of a file"))
    assert ["1", "2"] == urls(path)


def test_outside(tmp_path: Path) -> None:
    """It listens to this host alone; told otherwise it says a word, unless there is a token."""
    line = "otel-har: whoever reaches http://0.0.0.0:0 may send entries: there is no token (--token-file)"
    for environment, expected in ((dict(os.environ), [line]), ({**os.environ, **TOKEN}, [])):
        with receiving("--listen", "http://0.0.0.0:0", tmp_path / "out.har", environment=environment) as receiver:
            told = receiver.lines[0]
        assert expected == ([told] if "listening" not in told else [])


def test_console(tmp_path: Path) -> None:
    """Entries go to any exporter, to several at once."""
    path = tmp_path / "out.har"
    with receiving("--exporter", "console,file", path) as receiver:
        assert 200 == send(receiver, 7)
    assert ["7"] == urls(path)
    assert any("http://shop.test/7" in line for line in receiver.lines)


def test_what_cannot_be(tmp_path: Path) -> None:
    """What cannot be used is said at once, and the process ends."""
    out = str(tmp_path / "out.har")
    with receiving(out) as receiver:
        address = f"http://{receiver.http}"
        other = str(tmp_path / "other.har")
        assert "address already in use" in refused("--listen", address, other)
        assert refused("--listen", f"grpc://{receiver.grpc}", other).startswith("otel-har: ")
    assert "otel-har: there must be an OUT" == refused()
    assert "otel-har: say grpc:// or http:// before the address '127.0.0.1:80'" == refused(
        "--listen", "127.0.0.1:80", out
    )
    assert "no directory" in refused(str(tmp_path / "none" / "{day}.har"))
    assert "its directory" in refused(str(tmp_path / "{day}" / "out.har"))
    assert "otel-har: TLS needs --tls-cert and --tls-key" == refused("--tls-cert", out, out)
    assert "there is no exporter 'sql'" in refused("--exporter", "sql")
    assert refused("--token-file", str(tmp_path / "none"), out).startswith("otel-har: ")

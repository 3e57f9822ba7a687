"""Secrets in every place of real exchanges: by no way does one leave the process, and the recording stays of use."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from otel_har.cli.app import app
from servers import CompletedRun, RecordingServer
from servers.harmless import COUNT, FORM_TEXT, JSON_TEXT, QUERY, REQUEST_HEADERS, RESPONSE_HEADERS, add_harmless
from servers.leaks import leaks
from servers.planting import Planting
from servers.programs import read_checked, run_instrumented_program, run_plain_program
from servers.secret_places import plant

if TYPE_CHECKING:
    from collections.abc import Iterator


Json = dict[str, Any]

PROGRAM = (Path(__file__).parents[1] / "servers" / "planted_program.py").read_text("utf-8")

# OpenTelemetry's own variable: header fields become attributes of the spans.
HEADERS_IN_SPANS = {
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST": ".*",
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE": ".*",
}

WITHOUT_HEADERS_OF_CLIENTS = {"host", "user-agent", "accept-encoding", "connection", "content-length"}


# aiohttp tells no trailers, and nothing of the credentials in a URL where no request went out.
NOT_TOLD: dict[str, set[str]] = {"requests": set(), "aiohttp": {"trailer", "refused userinfo", "unknown host"}}


@dataclass(frozen=True)
class Planted:
    """One client's program, recorded as it is, and by default."""

    client: str
    planting: Planting
    naked: CompletedRun
    run: CompletedRun


def _planting(server: RecordingServer, client: str) -> tuple[Planting, list[str]]:
    """The exchanges of a client, and the secrets of its command line."""
    planting = Planting(server)
    plant(planting)
    if client == "aiohttp":
        _plant_websocket(planting)
    add_harmless(planting)
    option, assigned = planting.secret("option of the command"), planting.secret("assigned in the command")
    return planting, ["--token", option, f"--db-password={assigned}"]


def _plant_websocket(planting: Planting) -> None:
    """A WebSocket whose handshake and whose messages, of both kinds and both ways, have secrets."""
    messages = [
        json.dumps({"type": "login", "password": planting.secret("WebSocket message with JSON")}),
        f"user=Ann&access_token={planting.secret('WebSocket message with a form')}",
        planting.jwt("WebSocket message with a JWT"),
    ]
    planting.exchange(
        "socket",
        url=planting.server.url(f"/websocket?access_token={planting.secret('query of a WebSocket')}"),
        headers=(("Authorization", f"Bearer {planting.secret('handshake of a WebSocket')}"),),
        messages=messages,
        protocols=["chat", planting.jwt("protocol of a WebSocket")],
    )


@pytest.fixture(scope="module", params=["requests", "aiohttp"])
def planted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    """One program for each client, run once as it is and once by default."""
    with RecordingServer() as server:
        planting, command = _planting(server, request.param)
        directory = tmp_path_factory.mktemp(request.param)
        steps = str(planting.write(directory / "steps.json"))
        naked, run = (
            run_instrumented_program(
                server,
                directory / redaction,
                PROGRAM,
                env=HEADERS_IN_SPANS | {"OTEL_PYTHON_HAR_REDACT": redaction},
                args=[request.param, steps, *command],
            )
            for redaction in ("none", "default")
        )
        yield Planted(request.param, planting, naked, run)


def test_the_programs_ran(planted: Planted) -> None:
    """Both ran to their end and said nothing; an entry was recorded for each request that the server saw."""
    assert [(0, "", "")] * 2 == [(run.returncode, run.stdout, run.stderr) for run in (planted.naked, planted.run)]
    assert len(planted.naked.entries) == len(planted.run.entries) > 50


def test_every_secret_would_be_recorded(planted: Planted) -> None:
    """Without redaction every secret is in the file, so that its absence is redaction's work."""
    assert 100 <= len(planted.planting.planted)
    found = leaks(planted.naked.har_path.read_bytes(), planted.planting.planted)
    assert NOT_TOLD[planted.client] == set(planted.planting.planted) - set(found)


def test_no_secret_is_in_the_file(planted: Planted) -> None:
    """By default none of them is, in whatever writing."""
    assert {} == leaks(planted.run.har_path.read_bytes(), planted.planting.planted)


@pytest.mark.parametrize("mode", ["default", "strict"])
def test_the_command_takes_them_out_of_a_file(planted: Planted, tmp_path: Path, mode: str) -> None:
    """`otel-har redact` makes the naked recording as free of secrets; what it made has none by `check --secrets`."""
    redacted, again = tmp_path / "redacted.har", tmp_path / "again.har"
    for source, target in ((planted.naked.har_path, redacted), (redacted, again)):
        done = CliRunner().invoke(app, ["redact", "--mode", mode, str(source), str(target)])
        assert 0 == done.exit_code, done.output
    assert {} == leaks(redacted.read_bytes(), planted.planting.planted)
    assert redacted.read_bytes() == again.read_bytes()
    assert len(planted.naked.entries) == len(read_checked(redacted)["log"]["entries"])
    searched = CliRunner().invoke(app, ["check", "--secrets", str(redacted)])
    assert (0, f"1 file, {len(planted.naked.entries)} entries: no secrets\n") == (searched.exit_code, searched.output)


def test_entries_stay_entries(planted: Planted) -> None:
    """Method, host, path, status, sizes, names of fields and the kind of body are those of the wire."""
    assert [_outline(entry) for entry in planted.naked.entries] == [_outline(entry) for entry in planted.run.entries]


def _outline(entry: Json) -> Json:
    """What of an entry no redaction changes; the paths that have secrets are left out."""
    request, response = entry["request"], entry["response"]
    url = urlsplit(request["url"])
    return {
        "method": request["method"],
        "host": url.hostname,
        "path": url.path.partition(";")[0],
        "status": (response["status"], response["statusText"]),
        "headers": [[pair["name"] for pair in side["headers"]] for side in (request, response)],
        "cookies": [[pair["name"] for pair in side["cookies"]] for side in (request, response)],
        "attributes": [[key for key in cookie if key != "expires"] for cookie in response["cookies"]],
        "query": [pair["name"] for pair in request["queryString"]],
        "sizes": [(side["headersSize"], side["bodySize"]) for side in (request, response)],
        "content": (response["content"]["size"], response["content"]["mimeType"]),
        "encoding": response["content"].get("encoding"),
        "posted": request.get("postData", {}).get("mimeType"),
        "messages": [(one["type"], one["opcode"]) for one in entry.get("_webSocketMessages", [])],
        "events": [(one["eventName"], one["eventId"]) for one in entry.get("_eventSourceMessages", [])],
        "members": sorted(key for key in entry if key != "_redaction"),
        "attributes of the span": sorted(entry["_otel"]["attributes"]),
    }


def test_json_stays_json(planted: Planted) -> None:
    """A body that was JSON is JSON, with the same names in the same order."""
    [naked], [entry] = planted.naked.of("/canned/json"), planted.run.of("/canned/json")
    for side, member in (("request", "postData"), ("response", "content")):
        before, after = (json.loads(one[side][member]["text"]) for one in (naked, entry))
        assert _names(before) == _names(after)
    asked = json.loads(entry["request"]["postData"]["text"])
    assert ("Ann", "[REDACTED]") == (asked["name"], asked["password"])


def _names(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _names(one) for name, one in value.items()}
    return [_names(one) for one in value] if isinstance(value, list) else None


@pytest.mark.parametrize("name", ["Bearer", "Token", "ApiKey", "SSWS"])
def test_schemes_stay(planted: Planted, name: str) -> None:
    """The scheme of credentials tells how a program authenticates, and stays."""
    [entry] = planted.run.of(f"/canned/authorization-{name}")
    values = [pair["value"] for pair in entry["request"]["headers"] if pair["name"] == "Authorization"]
    assert [f"{name} [REDACTED]"] == values


def test_what_is_harmless_stays(planted: Planted) -> None:
    """Names and values that only look like secrets are there as they were sent."""
    assert 60 <= COUNT
    [entry], [form] = planted.run.of("/canned/harmless"), planted.run.of("/canned/harmless-form")
    assert "_redaction" not in entry
    sent = [pair for pair in _pairs(entry["request"]["headers"]) if pair[0].lower() not in WITHOUT_HEADERS_OF_CLIENTS]
    assert set(REQUEST_HEADERS) <= set(sent)
    received = [pair for pair in _pairs(entry["response"]["headers"]) if pair[0] != "Content-Length"]
    assert list(RESPONSE_HEADERS) == received
    assert list(QUERY) == _pairs(entry["request"]["queryString"])
    assert JSON_TEXT == entry["request"]["postData"]["text"]
    assert JSON_TEXT == entry["response"]["content"]["text"]
    assert FORM_TEXT == form["request"]["postData"]["text"]


def _pairs(pairs: list[Json]) -> list[tuple[str, str]]:
    return [(pair["name"], pair["value"]) for pair in pairs]


def test_handshakes_keep_their_keys(planted: Planted) -> None:
    """`Sec-WebSocket-Key` is no key, and `Sec-WebSocket-Accept` follows from it."""
    for naked, entry in zip(planted.naked.of("/websocket"), planted.run.of("/websocket"), strict=True):
        names = [pair["name"].lower() for pair in naked["request"]["headers"]]
        assert "sec-websocket-key" in names
        values = [
            pair["value"]
            for side in ("request", "response")
            for pair in entry[side]["headers"]
            if pair["name"].lower() in {"sec-websocket-key", "sec-websocket-accept", "sec-websocket-version"}
        ]
        assert [] == [value for value in values if "REDACTED" in value]


def test_entries_tell_that_they_were_redacted(planted: Planted) -> None:
    """An entry that had a secret names the policy and the rules; one that had none does not."""
    told = {entry["request"]["url"]: entry["_redaction"] for entry in planted.run.entries if "_redaction" in entry}
    assert {"default"} == {redaction["policy"] for redaction in told.values()}
    assert [] == [url for url, redaction in told.items() if not redaction["rules"]]
    assert [] == [entry for entry in planted.naked.entries if "_redaction" in entry]


def test_no_exporter_gets_a_secret(server: RecordingServer, tmp_path: Path) -> None:
    """Not a file, not memory, not an exporter of the program's own; neither at once nor in batches."""
    planting, command = _planting(server, "aiohttp")
    steps = str(planting.write(tmp_path / "steps.json"))
    run = run_plain_program(
        server, tmp_path, PROGRAM, env=HEADERS_IN_SPANS, args=["both", steps, str(tmp_path), *command]
    )
    assert (0, "", "") == (run.returncode, run.stdout, run.stderr)
    written = sorted(tmp_path.glob("*HarProcessor-*"))
    assert 6 == len(written)
    requests_sent = [exchange for exchange in server.exchanges if "/canned/" in exchange.request.path]
    for path in written:
        data = path.read_bytes()
        assert len(requests_sent) <= data.count(b'"startedDateTime"')
        assert (path.name, {}) == (path.name, leaks(data, planting.planted))
    for path in tmp_path.glob("*.har"):
        read_checked(path)

"""Real recordings, cut at every byte: what is mended has no faults, and every entry that was whole."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest

from otel_har.har.checker import check
from otel_har.har.repair import repair

if TYPE_CHECKING:
    from servers import InstrumentedRunner

PROGRAM = """
    import asyncio, aiohttp, requests
    from opentelemetry import trace
    from harness import BASE
    async def talk():
        async with aiohttp.ClientSession() as session, session.ws_connect(BASE + '/websocket/echo/0') as socket:
            await socket.send_str('{"entries":[{"\\\\" ü')
            await socket.receive_str()
            await socket.send_bytes(bytes(range(256)))
            await socket.receive_bytes()
    with trace.get_tracer('test').start_as_current_span('a page'):
        requests.get(BASE + '/json')
        requests.post(BASE + '/binary', data=bytes(range(200)))
    requests.get(BASE + '/gzip')
    asyncio.run(talk())
"""


@pytest.mark.parametrize("indent", ["", "2"])
def test_recordings_cut_anywhere(run_instrumented: InstrumentedRunner, indent: str) -> None:
    """Wherever a recording is cut, each entry that ended before is there, and the checker has no complaint."""
    run = run_instrumented(PROGRAM, env={"OTEL_PYTHON_HAR_INDENT": indent} if indent else None)
    assert (0, "", 4) == (run.returncode, run.stderr, len(run.entries))
    data = run.har_path.read_bytes()
    text, decoder = data.decode(), json.JSONDecoder()
    at = text.index('"startedDateTime"')
    ends, at = [], text.rindex("{", 0, at)
    for _ in run.entries:
        _, end = decoder.raw_decode(text, at)
        ends.append(len(text[:end].encode()))
        at = text.find("{", end)
    checked = set()
    for cut in range(1, len(data), 3 if indent else 1):
        target = io.BytesIO()
        report = repair(io.BytesIO(data[:cut]), target)
        mended = target.getvalue()
        whole = sum(end <= cut for end in ends)
        assert whole == report.found.entries
        assert mended.startswith(data[: ends[whole - 1]] if whole else b"{")
        if mended not in checked:
            assert (run.entries[:whole], []) == (
                json.loads(mended)["log"]["entries"],
                list(map(str, check(io.BytesIO(mended)))),
            )
            checked.add(mended)

"""The program that plants secrets: it sends the requests that a file lists, with one client or with both.

    planted_program.py CLIENT STEPS [DIRECTORY] --token SECRET --db-password=SECRET

With a directory it records by itself, through every exporter and processor, a file there for each; else whoever
instruments it records.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import requests
import yarl
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from otel_har.export.batch import BatchHarProcessor
from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarBatch, HarExporter, HarExportResult
from otel_har.export.simple import SimpleHarProcessor
from otel_har.instrumentor import HarInstrumentor
from otel_har.processor import HarSpanProcessor
from otel_har.testing import InMemoryHarExporter

Json = dict[str, Any]


class LinesExporter(HarExporter):
    """An exporter of a program's own: a line for each entry and page."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def export(self, batch: HarBatch) -> HarExportResult:
        """Write the lines."""
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(f"{part.model_dump_json(by_alias=True)}\n" for part in (*batch.pages, *batch.entries))
        return HarExportResult.SUCCESS

    def shutdown(self, timeout_millis: int = 0) -> None:
        """Nothing is open."""


def record(directory: Path) -> Callable[[], None]:
    """Record through everything there is; what is returned ends that."""
    provider = TracerProvider()
    memories = {}
    for processor in (BatchHarProcessor, SimpleHarProcessor):
        memory = memories[directory / f"{processor.__name__}-memory.json"] = InMemoryHarExporter()
        file = FileHarExporter(directory / f"{processor.__name__}-file.har")
        for exporter in (memory, file, LinesExporter(directory / f"{processor.__name__}-lines.json")):
            provider.add_span_processor(HarSpanProcessor(processor(exporter)))
    trace.set_tracer_provider(provider)
    HarInstrumentor().instrument(tracer_provider=provider)

    def end() -> None:
        provider.shutdown()
        for path, memory in memories.items():
            path.write_text(memory.har().model_dump_json(by_alias=True), "utf-8")

    return end


def caller_of(path: str | None, source: str) -> Any:
    """A function `call` of code that belongs to a file of that name."""
    names: Json = {}
    exec(compile(source, path or __file__, "exec"), names)  # noqa: S102 - how else would a file have a secret's name?
    return names["call"]


def within(step: Json) -> Any:
    """The root span that a step asks for."""
    if "span" not in step:
        return contextlib.nullcontext()
    return trace.get_tracer("program").start_as_current_span(step["span"])


def body_of(step: Json) -> bytes | None:
    """The body of a step's request."""
    return None if step["body"] is None else base64.b64decode(step["body"])


def with_requests(steps: list[Json]) -> None:
    """Send them with requests, which has no WebSockets."""

    def send(step: Json) -> None:
        proxies = {"http": step["proxy"]} if "proxy" in step else {}
        with contextlib.suppress(requests.RequestException):
            session.request(
                step["method"], step["url"], headers=dict(step["headers"]), data=body_of(step), proxies=proxies
            )

    with requests.Session() as session:
        session.trust_env = False
        for step in steps:
            if "messages" not in step:
                with within(step):
                    caller_of(step.get("file"), "def call(send, step): send(step)")(send, step)


async def with_aiohttp(steps: list[Json]) -> None:
    """Send them with aiohttp."""

    async def send(step: Json) -> None:
        url = yarl.URL(step["url"], encoded=True)
        if "messages" in step:
            await converse(url, step)
            return
        with contextlib.suppress(aiohttp.ClientError):
            async with session.request(
                step["method"], url, headers=step["headers"], data=body_of(step), proxy=step.get("proxy")
            ) as response:
                await response.read()

    async def converse(url: yarl.URL, step: Json) -> None:
        async with session.ws_connect(url, headers=step["headers"], protocols=step["protocols"]) as socket:
            for message in step["messages"]:
                await socket.send_str(message)
                await socket.receive_str()
                await socket.send_bytes(b"\xff\xfe" + message.encode())
                await socket.receive_bytes()

    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        for step in steps:
            with within(step):
                await caller_of(step.get("file"), "async def call(send, step): await send(step)")(send, step)


def main() -> None:
    """Send every request."""
    parser = argparse.ArgumentParser()
    parser.add_argument("client")
    parser.add_argument("steps", type=Path)
    parser.add_argument("directory", type=Path, nargs="?")
    for secret in ("--token", "--db-password"):  # on the command line, which is the title of a page
        parser.add_argument(secret)
    arguments = parser.parse_args()
    steps = json.loads(arguments.steps.read_text("utf-8"))
    end = record(arguments.directory) if arguments.directory else None
    if arguments.client in {"requests", "both"}:
        with_requests(steps)
    if arguments.client in {"aiohttp", "both"}:
        asyncio.run(with_aiohttp(steps))
    if end is not None:
        end()


if __name__ == "__main__":
    main()

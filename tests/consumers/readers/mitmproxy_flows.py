"""What mitmproxy understands of a HAR file, as JSON: each flow that its importer makes of an entry."""

import base64
import json
import sys
from typing import Any

from mitmproxy.http import Headers, HTTPFlow
from mitmproxy.io import FlowReader


def _pairs(headers: Headers) -> list[tuple[str, str]]:
    return [(name.decode("utf-8"), value.decode("utf-8")) for name, value in headers.fields]


def _facts(flow: HTTPFlow) -> dict[str, Any]:
    request, response = flow.request, flow.response
    assert response is not None
    return {
        "method": request.method,
        "url": request.url,
        "requestHttpVersion": request.http_version,
        "requestHeaders": _pairs(request.headers),
        "requestText": request.get_text(strict=False),
        "requestCookies": list(request.cookies.items(multi=True)),
        "query": list(request.query.items(multi=True)),
        "serverAddress": flow.server_conn.address and flow.server_conn.address[0],
        "status": response.status_code,
        "httpVersion": response.http_version,
        "responseHeaders": _pairs(response.headers),
        "responseText": response.get_text(strict=False),
        "responseBytes": base64.b64encode(response.content or b"").decode("ascii"),
        "setCookies": [(name, value) for name, (value, _) in response.cookies.items(multi=True)],
        "startedUnixS": flow.request.timestamp_start,
        "tookS": (flow.client_conn.timestamp_end or 0) - flow.request.timestamp_start,
    }


def main(har_path: str) -> None:
    """Read the file as `mitmproxy --rfile` does."""
    with open(har_path, "rb") as file:  # noqa: PTH123 - mitmproxy wants the file
        flows = [_facts(flow) for flow in FlowReader(file).stream() if isinstance(flow, HTTPFlow)]
    json.dump(flows, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])

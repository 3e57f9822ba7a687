"""What haralyzer understands of a HAR file, as JSON: its pages with their sums, and each of their entries."""

import json
import sys
from collections.abc import Callable
from typing import Any

from haralyzer import HarEntry, HarPage, HarParser


def _told(read: Callable[[], Any]) -> Any:
    """What a property says, None where the entry has no such field: haralyzer raises KeyError then."""
    try:
        return read()
    except KeyError:
        return None


def _entry_facts(entry: HarEntry) -> dict[str, Any]:
    request, response = entry.request, entry.response
    return {
        "startedUnixS": entry.startTime.timestamp(),
        "pageref": entry.pageref,
        "time": entry.time,
        "timings": dict(entry.timings),
        "serverAddress": _told(lambda: entry.serverAddress),
        "port": _told(lambda: entry.port),
        "method": request.method,
        "url": request.url,
        "requestHeaders": request.headers,
        "requestHeadersSize": request.headersSize,
        "requestBodySize": request.bodySize,
        "requestCookies": request.cookies,
        "query": request.queryString,
        "requestMimeType": request.mimeType,
        "requestText": request.text,
        "requestHttpVersion": request.httpVersion,
        "status": response.status,
        "statusText": response.statusText,
        "httpVersion": response.httpVersion,
        "responseHeaders": response.headers,
        "responseHeadersSize": response.headersSize,
        "responseBodySize": response.bodySize,
        "contentSize": response.contentSize,
        "mimeType": response.mimeType,
        "text": _told(lambda: response.text),
        "textEncoding": response.textEncoding,
        "redirectURL": response.redirectURL,
    }


def _page_facts(page: HarPage) -> dict[str, Any]:
    for name in dir(page):
        if not name.startswith("_"):
            getattr(page, name)  # a property that fails, fails here
    return {
        "id": page.page_id,
        "title": page.title,
        "hostname": page.hostname,
        "url": page.url,
        "requests": [len(page.get_requests), len(page.post_requests)],
        "size": page.page_size,
        "transferSize": page.page_size_trans,
        "textFiles": len(page.text_files),
        "duplicates": page.duplicate_url_request,
        "entries": [_entry_facts(entry) for entry in page.entries],
    }


def main(har_path: str) -> None:
    """Read the file and ask for everything."""
    parser = HarParser.from_file(har_path)
    log = {"version": parser.version, "creator": parser.creator, "browser": parser.browser, "hostname": parser.hostname}
    json.dump(log | {"pages": [_page_facts(page) for page in parser.pages]}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])

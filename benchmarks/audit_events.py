"""What listening to Python's audit events costs the whole process: each piece of work with the hook and without.

Run it as `python benchmarks/audit_events.py [ROUNDS]`. Each piece of work runs in processes of its own, the two kinds
in turns; printed is the ratio of the least CPU times of the rounds. The hook is the one that a recording installs with
its first request, and nobody listens: what a program pays for it outside of its requests.
"""

from __future__ import annotations

import subprocess
import sys

_WORK = {
    "import a large part of the standard library": """
import argparse, ast, bz2, calendar, concurrent.futures, configparser, csv, ctypes, decimal, difflib, email.mime.text
import fractions, ftplib, http.server, imaplib, lzma, mailbox, multiprocessing.pool, optparse, pdb, pydoc, sqlite3
import smtplib, statistics, tarfile, tkinter, unittest.mock, wave, xml.dom.minidom, xml.sax, xmlrpc.client, zipapp
""",
    "open and read 40,000 files": """
for _ in range(40_000):
    with open(__import__("os").devnull) as file:
        file.read()
""",
    "log 60,000 lines": """
import io, logging
logging.basicConfig(stream=io.StringIO(), level=logging.INFO)
logger = logging.getLogger("benchmark")
for number in range(60_000):
    logger.info("line %s", number)
""",
    "parse and write 20 MB of JSON": """
import json
text = json.dumps([{"number": number, "text": "x" * 50} for number in range(10_000)])
for _ in range(25):
    json.dumps(json.loads(text))
""",
    "start 100 processes": """
import subprocess, sys
for _ in range(100):
    subprocess.run(["true"], check=True)
""",
    "unpickle 600,000 dates": """
import datetime, pickle
pickled = pickle.dumps([datetime.datetime(2026, 1, 1)] * 200)
for _ in range(3_000):
    pickle.loads(pickled)
""",
    "deep copies of 100,000 small dictionaries": """
import copy
tree = [{"list": list(range(10)), "dict": {"x": "y"}} for _ in range(100)]
for _ in range(1_000):
    copy.deepcopy(tree)
""",
    "2,000,000 times id()": """
thing = object()
for _ in range(2_000_000):
    id(thing)
""",
}
_PROGRAM = """
import sys, time
if sys.argv[1] == "hook":
    from otel_har.capture import audit_events
    audit_events.install()
else:
    from otel_har.capture import audit_events
work = compile(sys.argv[2], "work", "exec")
started = time.process_time()
exec(work, {"__builtins__": __builtins__})
print(time.process_time() - started)
"""


def _cpu_seconds(kind: str, work: str) -> float:
    done = subprocess.run(  # noqa: S603 - this interpreter, with the work above
        [sys.executable, "-c", _PROGRAM, kind, work], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    for name, work in _WORK.items():
        seconds: dict[str, list[float]] = {"plain": [], "hook": []}
        for _ in range(rounds):
            for kind, taken in seconds.items():
                taken.append(_cpu_seconds(kind, work))
        print(f"{min(seconds['hook']) / min(seconds['plain']):5.2f}  {name}")


if __name__ == "__main__":
    main()

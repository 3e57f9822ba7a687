"""The name of a run: what all processes have in common that one command started.

`opentelemetry-instrument` loads this module for the names of the settings, which it makes its options of. It does so
in the first process of all, before the program, so what is set here is inherited by whatever the command starts: a
shell's two programs, too, write one file. Nothing else imports this module.
"""

import contextlib
import os
import uuid

from otel_har.environment import *  # noqa: F403 - the names are what is asked for
from otel_har.environment import OTEL_PYTHON_HAR, RUN, RUN_DIRECTORY, RUN_PROCESS, SALT

os.environ.setdefault(RUN, uuid.uuid4().hex)
os.environ.setdefault(RUN_PROCESS, str(os.getpid()))
os.environ.setdefault(SALT, os.urandom(32).hex())

# A path that is inherited is that of the command around this one, whose directory may be another one; one that is given
# to this command takes its place after this.
_inherited, _directory = os.environ.get(OTEL_PYTHON_HAR, "").strip(), os.environ.get(RUN_DIRECTORY)
if _inherited and _directory:
    os.environ[OTEL_PYTHON_HAR] = os.path.join(_directory, os.path.expanduser(_inherited))  # noqa: PTH111, PTH118 - as strings
with contextlib.suppress(FileNotFoundError):
    os.environ[RUN_DIRECTORY] = os.getcwd()  # noqa: PTH109 - as a string

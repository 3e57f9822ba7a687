"""The name of a run: what all processes have in common that one command started.

`opentelemetry-instrument` loads this module for the names of the settings, which it makes its options of. It does so
in the first process of all, before the program, so what is set here is inherited by whatever the command starts: a
shell's two programs, too, write one file. Nothing else imports this module.
"""

import os
import uuid

from otel_har.environment import *  # noqa: F403 - the names are what is asked for
from otel_har.environment import RUN, RUN_PROCESS

os.environ.setdefault(RUN, uuid.uuid4().hex)
os.environ.setdefault(RUN_PROCESS, str(os.getpid()))

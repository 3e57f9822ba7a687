"""`Recording`: from when to when the program's HTTP traffic is recorded, and of whom.

The rule: each run, from a start to its stop, is a pipeline of its own, so recordings at one time do not mix: each has
every exchange that began in it, once. Starting what runs already and stopping it as often is one run.

A recording of one context sees the spans that start in it (`contextvars`): those of the task or thread that started
it, and of what inherits its context, as tasks do that it makes and functions that it hands to `asyncio.to_thread`.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import inspect
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import _AsyncGeneratorContextManager, _GeneratorContextManager
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, cast

from opentelemetry.trace import TracerProvider

from otel_har.dispatch import DISPATCHER, watch_global_provider, watch_provider
from otel_har.export.interfaces import HarExporter
from otel_har.forking import call_at_exit_of_multiprocessing_children, call_in_forked_child
from otel_har.instrumentor import HOOKS
from otel_har.processor import HarSpanProcessor
from otel_har.signals import DEFAULT_SIGNAL_TIMEOUT_MILLIS, shut_down_on_signals

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_runs_of_context: ContextVar[tuple[_Run, ...]] = ContextVar("otel_har_runs", default=())


MakeExporter = Callable[[], HarExporter]
MakeProcessor = Callable[[HarExporter], HarSpanProcessor]


class Scope(TypedDict, total=False):
    """Whom a recording is of, and until when.

    Attributes:
        context_only: Record only what the task or thread does that starts the recording. Each start adds its own.
        tracer_provider: A provider that is not the global one, whose spans are recorded too.
        signals: Write everything before SIGTERM or SIGHUP ends the program, where it has no handler of its own.
    """

    context_only: bool
    tracer_provider: TracerProvider
    signals: bool


class Recording:
    """A recording that can be started and stopped any number of times.

    It is a context manager, sync and async, and a decorator of functions, sync and async: each call is recorded.

    Args:
        make_exporter: Makes the exporter of one run, when that starts.
        make_processor: Makes the pipeline to it.
        scope: Whom the recording is of.

    Attributes:
        exporter: That of the last run; None before the first one.
    """

    def __init__(self, make_exporter: MakeExporter, make_processor: MakeProcessor, **scope: Unpack[Scope]) -> None:
        self._make_exporter = make_exporter
        self._make_processor = make_processor
        self._scope = scope
        self.exporter: HarExporter | None = None
        self._starts = 0
        self._run: _Run | None = None
        self._renew_lock()
        call_in_forked_child(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()

    @property
    def is_recording(self) -> bool:
        """Whether it was started more often than stopped."""
        return self._run is not None

    def start(self) -> Self:
        """Record from now on.

        Raises:
            OtelHarError: When the destination cannot be used. Nothing is recorded then.
        """
        with self._lock:
            if self._run is None:
                self._begin(self._make_exporter())
            self._enter()
        return self

    def stop(self) -> None:
        """Record no longer, and deliver what was recorded. Without a start it does nothing.

        An exchange that is under way is recorded as far as it has come.
        """
        run = self._last_run()
        if run is not None:
            run.end()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver what was recorded by now.

        Returns:
            False when that took longer than `timeout_millis` milliseconds, or the export failed.
        """
        run = self._run
        return run is None or run.processor.force_flush(timeout_millis)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        if self._run is None:
            exporter = await in_thread(self._make_exporter)
            with self._lock:
                is_needed = self._run is None
                if is_needed:
                    self._begin(exporter)
                self._enter()
            if not is_needed:  # another task was first
                await in_thread(exporter.shutdown)
        else:
            self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        run = self._last_run()
        if run is not None:
            await in_thread(run.end)

    def __call__(self, function: F) -> F:
        """Decorate a function: what it does is recorded.

        Raises:
            TypeError: For a class, and for a generator function: record within it, with `with`. What turns out to give
                a generator or a context manager when it is called raises it then.
        """
        if isinstance(function, type | classmethod | staticmethod):
            raise TypeError(f"{function!r} cannot be decorated: decorate its functions")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise _generates(function)
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def recorded_coroutine(*args: Any, **kwargs: Any) -> Any:
                async with self:
                    return await function(*args, **kwargs)

            return cast("F", recorded_coroutine)

        @functools.wraps(function)
        def recorded(*args: Any, **kwargs: Any) -> Any:
            with self:
                result = function(*args, **kwargs)
                if inspect.isgenerator(result) or inspect.isasyncgen(result) or isinstance(result, _MANAGERS):
                    raise _generates(function)
            return self._awaited(result) if inspect.iscoroutine(result) else result

        return cast("F", recorded)

    async def _awaited(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """What a function gave that is no coroutine function to Python, such as a decorated one."""
        async with self:
            return await coroutine

    def _begin(self, exporter: HarExporter) -> None:
        """A run to an exporter, which is shut down where there is none."""
        with contextlib.ExitStack() as undoing:
            undoing.callback(exporter.shutdown)
            self._run = _Run(self._make_processor(exporter), self._scope)
            undoing.pop_all()
        self.exporter = exporter

    def _enter(self) -> None:
        self._starts += 1
        if self._run is not None:
            self._run.enter()

    def _last_run(self) -> _Run | None:
        """Count a stop; the run that it ends, if it does."""
        with self._lock:
            run = self._run
            if run is None:
                return None
            run.leave()
            self._starts -= 1
            if self._starts:
                return None
            self._run = None
        return run


_MANAGERS = (_GeneratorContextManager, _AsyncGeneratorContextManager)


def _generates(function: Callable[..., Any]) -> TypeError:
    name = getattr(function, "__qualname__", repr(function))
    return TypeError(f"{name} is a generator function: record within it, with `with`")


async def in_thread(call: Callable[[], T]) -> T:
    """Call what may take a while in a thread of its own: the event loop's may all be waiting for something."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # another library's event loop
        return call()
    executor = ThreadPoolExecutor(1, thread_name_prefix="otel-har-recording")
    try:
        work = loop.run_in_executor(executor, call)
    except RuntimeError:  # no thread starts any more
        return call()
    finally:
        executor.shutdown(wait=False)
    return await asyncio.shield(work)  # also where whoever waits is cancelled


class _Run:
    """From a start to its stop."""

    def __init__(self, processor: HarSpanProcessor, scope: Scope) -> None:
        self.processor = processor
        self.has_ended = False
        self._context_only = scope.get("context_only", False)
        tracer_provider = scope.get("tracer_provider")
        watch_global_provider()
        if tracer_provider is not None:
            watch_provider(tracer_provider)
        HOOKS.take(tracer_provider)
        DISPATCHER.add(processor, self._concerns_context if self._context_only else None)
        atexit.register(processor.shutdown)
        call_at_exit_of_multiprocessing_children(processor, HarSpanProcessor.shutdown)
        if scope.get("signals", True):
            shut_down_on_signals(processor, DEFAULT_SIGNAL_TIMEOUT_MILLIS)

    def enter(self) -> None:
        """The present context takes part; runs that others ended let it go."""
        if self._context_only:
            _runs_of_context.set((*(run for run in _runs_of_context.get() if not run.has_ended), self))

    def leave(self) -> None:
        """The present context takes part no longer."""
        runs = list(_runs_of_context.get())
        if self in runs:  # once for each start in this context
            runs.remove(self)
            _runs_of_context.set(tuple(runs))

    def end(self) -> None:
        """Deliver what was recorded."""
        self.has_ended = True
        HOOKS.give_back()
        self.processor.shutdown()
        DISPATCHER.remove(self.processor)
        atexit.unregister(self.processor.shutdown)

    def _concerns_context(self) -> bool:
        return self in _runs_of_context.get()

"""The rules of the house that no tool checks by itself, kept over every module of the package."""

from __future__ import annotations

import ast
from pathlib import Path
from textwrap import dedent

import pytest

import otel_har.version

ROOT = Path(otel_har.version.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
NAMES = [path.relative_to(ROOT).as_posix() for path in MODULES]
TREES = {name: ast.parse(path.read_text("utf-8"), str(path)) for name, path in zip(NAMES, MODULES, strict=True)}

MOST_MODULE_LINES = 400
MOST_FUNCTION_LINES = 40

_PATCHING_CALLS = frozenset(
    {
        "patch_function_wrapper",
        "reload",
        "transient_function_wrapper",
        "wrap_function_wrapper",
        "wrap_object",
        "wrap_object_attribute",
    }
)
_PATCHING_MODULES = ("unittest.mock", "mock", "gorilla", "wrapt.patches")
# Processes that are ours alone: the one that becomes the program, and the one whose program is a function.
_OF_OWN_PROCESSES = {"cli/call.py": ["sys.argv", "sys.excepthook"], "cli/record.py": ["sys.argv"]}
_MUTATING_METHODS = frozenset({"clear", "pop", "popitem", "setdefault", "update", "__setitem__", "__delitem__"})


class _Patches(ast.NodeVisitor):
    """Finds what changes a foreign module or class.

    Foreign is every name that an import from outside the package binds, anywhere in the module, every name that is
    assigned from one of those without a call (`Session = requests.Session`), and what `sys.modules`, `globals` or
    `import_module` gives. A call makes an instance, and instances may be changed: the rule is about what the program
    shares with us.
    """

    def __init__(self, tree: ast.Module, *, package: str = "otel_har") -> None:
        self.found: list[tuple[int, str]] = []
        self._package = package
        self._foreign: set[str] = set()
        for node in ast.walk(tree):
            self._learn_import(node)
        known = -1
        while known != len(self._foreign):  # an alias of an alias
            known = len(self._foreign)
            for node in ast.walk(tree):
                self._learn_alias(node)
        self.visit(tree)

    def _learn_import(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for name in node.names:
                self._reject(node, name.name)
                if name.name.partition(".")[0] != self._package:
                    self._foreign.add(name.asname or name.name.partition(".")[0])
        elif isinstance(node, ast.ImportFrom):
            self._reject(node, node.module or "")
            for name in node.names:
                self._reject(node, f"{node.module}.{name.name}")
                if name.name in _PATCHING_CALLS:
                    self.found.append((node.lineno, f"imports {name.name}"))
                if not node.level and (node.module or "").partition(".")[0] != self._package:
                    self._foreign.add(name.asname or name.name)

    def _learn_alias(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign) and self._is_foreign(node.value):
            self._foreign.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif (
            isinstance(node, ast.AnnAssign | ast.NamedExpr)
            and isinstance(node.target, ast.Name)
            and node.value is not None
            and self._is_foreign(node.value)
        ):
            self._foreign.add(node.target.id)

    def _reject(self, node: ast.stmt, module: str) -> None:
        if module in _PATCHING_MODULES or module.startswith(tuple(f"{name}." for name in _PATCHING_MODULES)):
            self.found.append((node.lineno, f"imports {module}"))

    def _is_foreign(self, node: ast.expr) -> bool:
        """Whether an expression names a foreign module, class or function, or an attribute or item of one."""
        if isinstance(node, ast.Attribute | ast.Subscript):
            return self._is_foreign(node.value)
        if isinstance(node, ast.Call):
            name = _last_name(node.func)
            if name in {"import_module", "__import__"}:
                return True
            if name in {"getattr", "vars"} and node.args:
                return self._is_foreign(node.args[0])
            return False
        return isinstance(node, ast.Name) and node.id in self._foreign

    def _check_target(self, node: ast.expr) -> None:
        if isinstance(node, ast.Tuple | ast.List):
            for part in node.elts:
                self._check_target(part)
        elif isinstance(node, ast.Starred):
            self._check_target(node.value)
        elif (
            isinstance(node, ast.Attribute | ast.Subscript)
            and self._is_foreign(node.value)
            and not _is_environment(node)
        ):
            self.found.append((node.lineno, f"changes {ast.unparse(node)}"))

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._check_target(target)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._check_target(node.target)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._check_target(node.target)
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self._check_target(target)
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        self._check_target(node.target)
        self.generic_visit(node)

    def visit_withitem(self, node: ast.withitem) -> None:
        if node.optional_vars is not None:
            self._check_target(node.optional_vars)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = _last_name(node.func)
        sets = name in {"setattr", "delattr", "__setattr__", "__delattr__"}
        if sets and node.args and self._is_foreign(node.args[0]):
            self.found.append((node.lineno, f"changes {ast.unparse(node)}"))
        elif name in _PATCHING_CALLS and not self._is_own_method(node.func):
            self.found.append((node.lineno, f"calls {name}"))
        elif name in _MUTATING_METHODS and isinstance(node.func, ast.Attribute) and self._is_namespace(node.func.value):
            self.found.append((node.lineno, f"changes {ast.unparse(node.func.value)}"))
        self.generic_visit(node)

    def _is_own_method(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}

    def _is_namespace(self, node: ast.expr) -> bool:
        """`sys.modules`, `vars(foreign)` or a foreign `__dict__`."""
        if isinstance(node, ast.Attribute):
            return node.attr in {"modules", "__dict__"} and self._is_foreign(node.value)
        return isinstance(node, ast.Call) and _last_name(node.func) == "vars" and self._is_foreign(node)


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_environment(node: ast.expr) -> bool:
    """An item of `os.environ`: the process's own, meant to be set."""
    return isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ"


def _patches(source: str) -> list[str]:
    return [what for _, what in _Patches(ast.parse(dedent(source))).found]


@pytest.mark.parametrize(
    "source",
    [
        "import requests\nrequests.Session.send = x",
        "import requests\nrequests.Session.send: object = x",
        "import requests as r\nr.Session.send = x",
        "import requests.sessions\nrequests.sessions.Session.send = x",
        "from requests import Session\nSession.send = x",
        "from requests import Session as S\nS.send, other = x",
        "from requests import Session\n[*S, Session.send] = x",
        "from requests import Session\nSession.attribute += 1",
        "from requests import Session\ndel Session.send",
        "def f():\n    from requests import Session\n    Session.send = x",
        "import requests\nC = requests.Session\nD = C\nD.send = x",
        "import requests\nC: type = requests.Session\nC.send = x",
        "import requests\n(C := requests.Session).send\nC.send = x",
        "import requests\nfor requests.hook in (): pass",
        "import requests\nwith open() as requests.file: pass",
        "import aiohttp\nsetattr(aiohttp.ClientSession, '_request', x)",
        "import aiohttp\ndelattr(aiohttp.ClientSession, '_request')",
        "import aiohttp\ntype.__setattr__(aiohttp.ClientSession, '_request', x)",
        "import aiohttp\nsetattr(getattr(aiohttp, 'ClientSession'), '_request', x)",
        "import aiohttp\naiohttp.__dict__['x'] = 1",
        "import aiohttp\nvars(aiohttp)['x'] = 1",
        "import aiohttp\nvars(aiohttp).update(x=1)",
        "import aiohttp\naiohttp.__dict__.update(x=1)",
        "import wrapt\nwrapt.wrap_function_wrapper('requests', 'Session.send', x)",
        "from wrapt import wrap_function_wrapper\nwrap_function_wrapper('requests', 'Session.send', x)",
        "from wrapt import wrap_function_wrapper as w",
        "import wrapt\n@wrapt.patch_function_wrapper('requests', 'Session.send')\ndef f(): pass",
        "import wrapt.patches",
        "from unittest import mock",
        "from unittest.mock import patch",
        "import unittest.mock as m",
        "import importlib\nimportlib.reload(x)",
        "from importlib import reload\nreload(x)",
        "import sys\nsys.modules['requests'] = x",
        "import sys\ndel sys.modules['requests']",
        "import sys\nsys.modules.pop('requests')",
        "from sys import modules\nmodules['requests'] = x",
        "import importlib\nimportlib.import_module('requests').Session = x",
        "import importlib\nm = importlib.import_module('requests')\nm.Session = x",
        "import builtins\nbuiltins.open = x",
    ],
)
def test_patches_are_caught(source: str) -> None:
    """The rule finds every way of changing a foreign module or class."""
    assert _patches(source)


@pytest.mark.parametrize(
    "source",
    [
        "class A:\n    def f(self):\n        self.x = 1",
        "class A:\n    @classmethod\n    def f(cls):\n        cls.x = 1",
        "def f(response):\n    response.raw = 1",
        "def f(response):\n    setattr(response, 'raw', 1)",
        "import requests\nsession = requests.Session()\nsession.trust_env = False",
        "from requests import Session\nwith Session() as s:\n    s.x = 1",
        "import aiohttp\nconfig = aiohttp.TraceConfig()\nconfig.on_request_start.append(x)",
        "from otel_har.exchange import Exchange\nexchange = Exchange()\nexchange.url = 'x'",
        "from otel_har import guard\nguard.level = 1",
        "import os\nos.environ['X'] = '1'",
        "import os\ndel os.environ['X']",
        "import threading\nt = threading.Thread()\nt.daemon = True",
        "import wrapt\nclass Tap(wrapt.ObjectProxy):\n    pass",
        "class A:\n    def g(self):\n        self.reload()",
        "x = {}\nx['a'] = 1\nx.update(b=2)\ndel x['a']",
    ],
)
def test_what_is_allowed_passes(source: str) -> None:
    """Own attributes, instances and what is passed in may be changed."""
    assert [] == _patches(source)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_foreign_is_patched(name: str) -> None:
    """No module changes a module or class that is not ours."""
    assert [f"changes {what}" for what in _OF_OWN_PROCESSES.get(name, [])] == [
        what for _, what in _Patches(TREES[name]).found
    ]


def _imports_of_root(tree: ast.Module) -> list[int]:
    lines = []
    submodules = {path.stem for path in ROOT.glob("*.py")} | {path.name for path in ROOT.iterdir() if path.is_dir()}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            lines += [
                node.lineno
                for name in node.names
                if name.name == "otel_har" or (name.asname is None and name.name.startswith("otel_har."))
            ]
        elif isinstance(node, ast.ImportFrom):
            from_root = node.module == "otel_har" and any(name.name not in submodules for name in node.names)
            if node.level or from_root:
                lines.append(node.lineno)
    return lines


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("import otel_har", 1),
        ("import otel_har as h", 1),
        ("import otel_har.guard", 1),
        ("import otel_har.guard as g", 0),
        ("from otel_har import HarInstrumentor", 1),
        ("from otel_har import guard, HarInstrumentor", 1),
        ("from otel_har import guard", 0),
        ("from otel_har.guard import guarded", 0),
        ("from . import guard", 1),
        ("from .guard import guarded", 1),
    ],
)
def test_imports_of_the_root_are_caught(source: str, count: int) -> None:
    """The rule tells names of the package root from its submodules."""
    assert count == len(_imports_of_root(ast.parse(source)))


@pytest.mark.parametrize("name", NAMES)
def test_nobody_imports_the_root(name: str) -> None:
    """Modules import from the module that has what they need: the root is for users."""
    assert [] == _imports_of_root(TREES[name])


def _broad_excepts(tree: ast.Module) -> list[int]:
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            if any(kind is None or _last_name(kind) in {"Exception", "BaseException"} for kind in caught):
                lines += [] if _reraises(node) or _hands_over(node) else [node.lineno]
        elif isinstance(node, ast.Call) and _last_name(node.func) == "suppress":
            lines += [node.lineno for kind in node.args if _last_name(kind) in {"Exception", "BaseException"}]
    return lines


def _reraises(handler: ast.ExceptHandler) -> bool:
    """A handler that ends by raising the same again notes what passes, and catches nothing."""
    last = handler.body[-1]
    return (
        isinstance(last, ast.Raise)
        and last.exc is None
        and not any(isinstance(node, ast.Return | ast.Break | ast.Continue) for node in ast.walk(handler))
    )


def _hands_over(handler: ast.ExceptHandler) -> bool:
    """A handler of an `Exception` that gives it to the guard's `caught`, and does nothing else."""
    given = f"caught({{}}, {handler.name})"
    call = handler.body[0].value if isinstance(handler.body[0], ast.Expr) else None
    return (
        len(handler.body) == 1
        and handler.type is not None
        and ast.unparse(handler.type) == "Exception"
        and isinstance(call, ast.Call)
        and len(call.args) > 0
        and isinstance(call.args[0], ast.Constant)
        and ast.unparse(call) == given.format(ast.unparse(call.args[0]))
    )


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("try: pass\nexcept: pass", 1),
        ("try: pass\nexcept Exception: pass", 1),
        ("try: pass\nexcept (ValueError, Exception) as e: pass", 1),
        ("try: pass\nexcept builtins.BaseException: pass", 1),
        ("try: pass\nexcept Exception:\n    note()\n    raise ValueError", 1),
        ("def f():\n  try: pass\n  except Exception:\n    if x:\n      return\n    raise", 1),
        ("with contextlib.suppress(Exception): pass", 1),
        ("try: pass\nexcept Exception as e:\n    note()\n    caught('x', e)", 1),
        ("try: pass\nexcept Exception as e: caught('x', other)", 1),
        ("try: pass\nexcept BaseException as e: caught('x', e)", 1),
        ("try: pass\nexcept Exception as e: report('x', e)", 1),
        ("try: pass\nexcept Exception as e: caught('noting', e)", 0),
        ("try: pass\nexcept BaseException:\n    note()\n    raise", 0),
        ("try: pass\nexcept ValueError: pass", 0),
        ("with contextlib.suppress(OSError): pass", 0),
    ],
)
def test_broad_excepts_are_caught(source: str, count: int) -> None:
    """The rule knows a handler that catches everything from one that lets it pass or hands it to the guard."""
    assert count == len(_broad_excepts(ast.parse(source)))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "guard.py"])
def test_broad_excepts_only_in_the_guard(name: str) -> None:
    """One place decides on any exception; everything of ours goes through it."""
    assert [] == _broad_excepts(TREES[name])


def _variable_names(tree: ast.Module) -> list[tuple[int, str]]:
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and "OTEL_PYTHON_HAR" in node.value
        and id(node) not in documentation
    ]


def test_variables_stand_in_one_place() -> None:
    """Every OTEL_PYTHON_HAR_* name is written once, in `environment`, as the constant of its own name."""
    elsewhere = {name: _variable_names(tree) for name, tree in TREES.items() if name != "environment.py"}
    assert {} == {name: found for name, found in elsewhere.items() if found}
    literals = [value for _, value in _variable_names(TREES["environment.py"])]
    constants = [
        target.id
        for node in TREES["environment.py"].body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id.startswith("OTEL_")
    ]
    assert constants == literals
    assert sorted(set(literals)) == sorted(literals)


@pytest.mark.parametrize("name", NAMES)
def test_public_names_are_sorted(name: str) -> None:
    """`__all__`, where there is one, is sorted, without duplicates, and every name in it is there."""
    for node in TREES[name].body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
            names: list[str] = ast.literal_eval(node.value)
            assert sorted(set(names), key=_rank) == names
            assert set(names) <= _top_level_names(TREES[name])


def _rank(name: str) -> tuple[int, str]:
    """CONSTANTS, then Classes, then functions, as ruff sorts them."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2), name


def _top_level_names(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


@pytest.mark.parametrize("name", NAMES)
def test_modules_are_short_and_say_what_they_are(name: str) -> None:
    """A module has a docstring and fits into a head."""
    assert ast.get_docstring(TREES[name])
    assert len((ROOT / name).read_text("utf-8").splitlines()) <= MOST_MODULE_LINES


@pytest.mark.parametrize("name", NAMES)
def test_functions_are_short(name: str) -> None:
    """A function fits on a screen."""
    too_long = {
        node.name: length
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > MOST_FUNCTION_LINES
    }
    assert {} == too_long

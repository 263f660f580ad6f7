"""What changes a function's fingerprint, and what does not; each function comes from a module in a file of its own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from itertools import count
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from pausable.documents.fingerprint import keep_source, read_code

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FunctionType

    from pausable.documents.fingerprint import Reading

_numbers = count()

SHOP = '''
import json
from functools import lru_cache, partial
from pausable.secrets import Secret

RATE = 0.19
NAMES = ("net", "gross")
KEY = Secret("SHOP_KEY")


def rounded(value, places=2):
    """Round a price."""
    return round(value, places)


@lru_cache
def cached(value):
    return value + 1


def again(value):
    return price(value - 1) if value > 3 else value


class Till:
    limit = 100

    def add(self, value):
        return value + self.limit


class Money(Till):
    def show(self, value):
        return f"{value} EUR"


TILL = Till()
KINDS = {"half": partial(rounded, places=1)}


def made(factor):
    def times(value):
        return value * factor

    return times


double = made(2)


def price(value, *, of="apples", to=None):
    # what it costs
    try:
        total = rounded(value * (1 + RATE)) + cached(value)
    except ValueError:
        return None
    if of in {"apples", "pears", "plums"}:
        total = [one + 1 for one in (total, again(value))]
    KEY.get(), Secret("OTHER_KEY").get()
    return json.dumps([total, double(value), TILL.add(1), Money().show(2), KINDS["half"](3), NAMES])
'''


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def function(folder: Path, source: str, name: str = "price") -> FunctionType:
    """A function of a module with that source, in a file of its own."""
    module_name = f"shop_{next(_numbers)}"
    file = folder / f"{module_name}.py"
    file.write_text(dedent(source))
    spec = importlib.util.spec_from_file_location(module_name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[module_name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: FunctionType = vars(module)[name]
    return found


def read(folder: Path, source: str, name: str = "price") -> Reading:
    found = read_code(function(folder, source, name))
    assert found is not None
    return found


def fingerprint(folder: Path, source: str, name: str = "price") -> str:
    return read(folder, source, name).fingerprint


UNTOUCHED = {
    "another comment": ("# what it costs", "# what it costs, with taxes\n    # and all"),
    "moved lines": ("import json\n", "import json\n\n\n\n\n"),
    "another docstring": ('"""Round a price."""', '"""Round a price to so many places.\n\n    It is kept.\n    """'),
    "a docstring more": ("# what it costs", '"""What it costs."""'),
    "parts on lines of their own": ("value * (1 + RATE)", "value\n        * (1\n           + RATE)"),
    "the members of a set in another order": ('{"apples", "pears", "plums"}', '{"plums", "pears", "apples"}'),
    "methods and names in another order": ("    limit = 100\n", "\n    limit = 100\n    # the most\n"),
    "another function that it does not call": ("KINDS =", "def unused():\n    return 1\n\n\nKINDS ="),
    "a local name": ("total", "sum_of_all"),
    "an annotation": ("def rounded(value, places=2):", "def rounded(value: float, places: int = 2) -> float:"),
    "an annotation of a local variable": ("        total = rounded", "        total: float = rounded"),
    "a statement that does nothing": ("    try:\n", "    pass\n    try:\n"),
    "brackets and quotes": ('of="apples"', "of=('apples')"),
}
CHANGED = {
    "a constant": ("return value + 1", "return value + 2"),
    "an operator": ("value - 1", "value + 1"),
    "a default": ("places=2", "places=3"),
    "a default by keyword": ('of="apples"', 'of="pears"'),
    "a parameter's name": ("*, of=", "*, what=1, of="),
    "what a function that it calls calls": ("return round(value, places)", "return round(value + 0, places)"),
    "a literal of the module": ("RATE = 0.19", "RATE = 0.2"),
    "a tuple of literals": ('("net", "gross")', '("net", "gros")'),
    "what its closure holds": ("made(2)", "made(3)"),
    "a method of a class": ('f"{value} EUR"', 'f"{value} USD"'),
    "a method that a class inherits": ("value + self.limit", "value - self.limit"),
    "an attribute of a class": ("limit = 100", "limit = 101"),
    "what a table of functions holds": ("partial(rounded, places=1)", "partial(rounded, places=0)"),
    "a function within it": ("one + 1 for one", "one - 1 for one"),
    "what is watched for exceptions": ("    except ValueError:", "    except (ValueError, KeyError):"),
    "a member of a set": ('"plums"}', '"quinces"}'),
    "a library function that it calls": ("json.dumps(", "json.loads("),
}


@pytest.mark.parametrize("how", UNTOUCHED)
def test_what_does_not_change_what_code_does_leaves_its_fingerprint(folder: Path, how: str) -> None:
    old, new = UNTOUCHED[how]
    assert old in SHOP

    assert fingerprint(folder, SHOP.replace(old, new)) == fingerprint(folder, SHOP)


@pytest.mark.parametrize("how", CHANGED)
def test_what_changes_what_code_does_changes_its_fingerprint(folder: Path, how: str) -> None:
    old, new = CHANGED[how]
    assert old in SHOP

    assert fingerprint(folder, SHOP.replace(old, new)) != fingerprint(folder, SHOP)


#: What versions of Python parse, generate or keep in different ways.
KINDS = """
from dataclasses import dataclass, field
from enum import Enum, IntFlag
from typing import Final, NamedTuple

RATE: Final = 0.19


def made():
    return []


@dataclass(frozen=True, order=True)
class Point:
    x: int
    y: int = 3
    more: list = field(default_factory=made)


class Color(Enum):
    RED = 1
    BLUE = "b"


class Bits(IntFlag):
    FIRST = 1


class Pair(NamedTuple):
    left: int
    right: str = "none"


def gathered(*values, many=2, **options):
    def inner(value=many, *, factor: int = RATE):
        nonlocal many
        many += 1
        return value * factor

    try:
        yield from (inner(value) for value in values if value)
    except* ValueError as error:
        print(f"{error!r:>{many}} {many=} {'a' 'b'}" f"x{RATE:.2f}" "end")


def price(value):
    match value:
        case {"a": [first, *others], **rest}:
            return first, others, rest
        case Point(x=0) | Color.RED | 3 as found:
            return {key: one for key, one in found.items()}
    return Point(1), Bits.FIRST, Pair(1), gathered(), sorted([], key=lambda one: one.x), [1, *value], {-1, 2.5, "x"}
"""


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_a_fingerprint_is_the_same_under_every_version_of_python(folder: Path, version: str) -> None:
    program = (
        "import kinds; from pausable.documents.fingerprint import read_code; print(read_code(kinds.price).fingerprint)"
    )
    (folder / "kinds.py").write_text(KINDS)
    places = folder, Path(__file__).parents[2], sysconfig.get_path("purelib")

    def told(python: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places)), "PYENV_VERSION": version}
        return subprocess.run([python, "-c", program], env=environment, capture_output=True, text=True, check=False)

    other = shutil.which(f"python{version}") or ""
    if not other or subprocess.run([other, "-V"], env={**os.environ, "PYENV_VERSION": version}, check=False).returncode:
        pytest.skip(f"Python {version} is not installed")

    assert told(other).stdout == told(sys.executable).stdout != ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    y: int = 3", "    y: int = 4"),
        ("    x: int\n", "    x: int\n    z: int\n"),
        ("return []", "return [1]"),
        ('BLUE = "b"', 'BLUE = "c"'),
        ("    left: int\n", "    left: int\n    middle: int\n"),
        ("many += 1", "many += 2"),
        ("factor: int = RATE", "factor: int = 3"),
        ("x{RATE:.2f}", "x{RATE:.3f}"),
        ("RATE: Final = 0.19", "RATE: Final = 0.2"),
        ("except* ValueError", "except* KeyError"),
        ("Point(x=0)", "Point(x=1)"),
    ],
)
def test_fields_members_and_parts_of_texts_count(folder: Path, old: str, new: str) -> None:
    assert old in KINDS

    assert fingerprint(folder, KINDS.replace(old, new)) != fingerprint(folder, KINDS)


def test_lambdas_of_one_line_are_read_together(folder: Path) -> None:
    several = "KINDS = {'a': lambda x: x + 1, 'b': lambda x: x + 2}\n\n\ndef f(x):\n    return KINDS['a'](x)\n"

    assert fingerprint(folder, several, "f") == fingerprint(folder, several.replace("'b': lambda", "'b' : lambda"), "f")
    assert fingerprint(folder, several, "f") != fingerprint(folder, several.replace("x + 2", "x + 3"), "f")


def test_a_function_without_a_source_is_read_as_bytecode(folder: Path) -> None:
    generated = "names = {}\nexec('def f(x):\\n    return x + 1', globals())\n"
    commented = generated.replace("x + 1", "x + 1  # more")

    assert fingerprint(folder, generated, "f") == fingerprint(folder, commented, "f")
    assert fingerprint(folder, generated, "f") != fingerprint(folder, generated.replace("+ 1", "+ 2"), "f")


def test_a_file_that_was_edited_after_it_was_loaded_is_not_read_for_what_was_loaded(folder: Path) -> None:
    loaded, fresh = function(folder, SHOP), function(folder, SHOP.replace("(1 + RATE)", "(2 + RATE)"))
    Path(loaded.__code__.co_filename).write_text(SHOP.replace("(1 + RATE)", "(2 + RATE)"))

    before, after = read_code(loaded), read_code(fresh)

    assert before is not None
    assert after is not None
    assert before.fingerprint != after.fingerprint


def test_a_file_that_is_kept_when_it_is_loaded_may_be_edited_without_a_change_of_what_was_loaded(folder: Path) -> None:
    loaded = function(folder, SHOP)
    keep_source(loaded)
    Path(loaded.__code__.co_filename).write_text("# another file\n")

    found = read_code(loaded)

    assert found is not None
    assert found.fingerprint == fingerprint(folder, SHOP)


def test_a_statement_that_leaves_a_try_changes_the_fingerprint(folder: Path) -> None:
    inside = "def f(x):\n    try:\n        x.a()\n        x.b()\n    except KeyError:\n        pass\n"
    outside = "def f(x):\n    x.a()\n    try:\n        x.b()\n    except KeyError:\n        pass\n"

    assert fingerprint(folder, inside, "f") != fingerprint(folder, outside, "f")


def test_a_fingerprint_is_the_same_in_every_process(folder: Path) -> None:
    here = function(folder, SHOP)
    program = f"import sys; sys.path.insert(0, {str(folder)!r})\nimport {here.__module__} as shop\n"
    program += "from pausable.documents.fingerprint import read_code; print(read_code(shop.price).fingerprint)"

    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("0", "1", "7")
    }

    found = read_code(here)
    assert found is not None
    assert told == {found.fingerprint}


def test_what_changes_while_a_module_runs_is_no_change_of_its_code(folder: Path) -> None:
    source = "calls = 0\n\n\ndef f():\n    global calls\n    calls += 1\n    return calls\n"
    counting = function(folder, source, "f")
    before = read_code(counting)

    counting()

    after = read_code(counting)
    assert before is not None
    assert after is not None
    assert before.fingerprint == after.fingerprint


def test_functions_that_call_each_other_in_a_circle_are_read_once(folder: Path) -> None:
    circle = "def f(x):\n    return g(x - 1)\n\n\ndef g(x):\n    return f(x) if x else 0\n"

    assert fingerprint(folder, circle, "f") == fingerprint(folder, circle, "f")
    assert fingerprint(folder, circle, "f") != fingerprint(folder, circle.replace("else 0", "else 1"), "f")


def test_a_library_s_function_has_no_fingerprint_of_its_own() -> None:
    assert read_code(subprocess.check_output) is None  # type: ignore[arg-type]


def test_the_secrets_that_code_names_are_known(folder: Path) -> None:
    assert read(folder, SHOP).secrets == {"SHOP_KEY", "OTHER_KEY"}


def test_a_reading_is_current_until_a_name_stands_for_something_else(folder: Path) -> None:
    here = function(folder, SHOP)
    found = read_code(here)
    assert found is not None
    assert found.is_current()

    here.__globals__["rounded"] = lambda value: value

    assert not found.is_current()
    after = read_code(here)
    assert after is not None
    assert after.fingerprint != found.fingerprint


def test_a_function_in_a_library_s_wrapping_is_read_as_the_one_within(folder: Path) -> None:
    wrapped = "from contextlib import contextmanager\n\n\n@contextmanager\ndef f(x):\n    yield x + 1\n"

    assert fingerprint(folder, wrapped, "f") == fingerprint(folder, wrapped, "f")
    assert fingerprint(folder, wrapped, "f") != fingerprint(folder, wrapped.replace("+ 1", "+ 2"), "f")

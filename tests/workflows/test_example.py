"""The complete example of docs/workflows.md, taken from there and run."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from pausable import Workflow, load_workflows

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).parents[2] / "docs" / "workflows.md").read_text(encoding="utf-8")
EXAMPLE, PARAMETERS, TESTS, *_ = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def texts() -> Iterator[ModuleType]:
    """The example as the module that the page tells to save it as."""
    module = ModuleType("texts")
    with patch.dict(sys.modules, texts=module):
        exec(EXAMPLE, module.__dict__)  # noqa: S102
        yield module


def test_the_example_is_found_and_returns_what_the_page_says(texts: ModuleType, input_dir: Path) -> None:
    describe_text = load_workflows(["texts"]).get("describe-text")

    result = describe_text.build(1, describe_text.validate({"text": "to be or not to be"})).apply().get()

    assert json.dumps(result) in PAGE


def test_the_example_of_parameters_is_a_workflow() -> None:
    module = ModuleType("reports")
    exec(PARAMETERS, module.__dict__)  # noqa: S102

    report: Workflow = module.__dict__["monthly_report"]

    assert report.validate({"month": "2024-05-01"}) == {"month": "2024-05-01", "copies": 1, "currency": "EUR"}


def test_the_example_of_tests_holds(texts: ModuleType, input_dir: Path) -> None:
    exec(TESTS, texts.__dict__)  # noqa: S102

"""What `@step` says of a target, a store or a serializer that cannot be used, and stores that are not there."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from celery.contrib.testing.app import setup_default_app

from pausable import Flow, step, workflow
from pausable.config import read_settings
from pausable.errors import StepOptionInvalid, StorePackageMissing, StoreUnknown, TargetMalformed
from pausable.results.local import LocalResult
from pausable.results.remote import GCSResult, S3Result, store_at
from pausable.results.targets import target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pausable.engine.policies import StepPolicy

_numbers = count()


@pytest.fixture(autouse=True)
def own_app() -> Iterator[None]:
    """A Celery app of each test's own: one that another test has closed would still be the current one."""
    with setup_default_app(Celery("tests", broker="memory://")):
        yield


def policy_of(task: Any) -> StepPolicy:
    policy: StepPolicy = task.policy
    return policy


def declare(function: Callable[..., Any], **options: Any) -> StepPolicy:
    return policy_of(step(name=f"declared.{next(_numbers)}.{function.__name__}", **options)(function))


def one(source: str, rows: int = 1) -> int:
    return rows


def bound(self: Any, source: str) -> str:
    return source


def open_to_all(source: str, **more: str) -> str:
    return source


def dated(date: str) -> str:
    return date


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{date", "which is not a valid template"),
        ("{}", "use the plain name of a fact or a parameter"),
        ("{0}", "use the plain name of a fact or a parameter"),
        ("{source.__class__}", "use the plain name of a fact or a parameter"),
        ("{source[0]}", "use the plain name of a fact or a parameter"),
        ("{date:{source}}", "use the plain name of a fact or a parameter"),
        (
            "{nobody}",
            r"has the unknown field \{nobody\}: use date, workflow, operation_id, step, task_name, source, rows",
        ),
        (7, "is 7: give a text"),
        ("", "is '': give a text"),
    ],
)
def test_a_target_that_cannot_be_filled_in_is_refused_where_it_is_declared(template: Any, said: str) -> None:
    with pytest.raises(StepOptionInvalid, match=said):
        declare(one, target=template)


def test_parameters_and_facts_are_fields() -> None:
    for template in (
        "{date:%Y-%m-%d}/{workflow}/{operation_id}/{step}-{task_name}",
        "{source!r:>10}-{rows:03}",
        "plain",
    ):
        target = declare(one, target=template).target
        assert target is not None
        assert target.template == template


def test_the_task_itself_is_no_field_of_a_bound_step() -> None:
    with pytest.raises(StepOptionInvalid, match=r"has the unknown field \{self\}"):
        declare(bound, bind=True, target="{self}")
    assert declare(bound, bind=True, target="{source}").target is not None


def test_a_function_that_takes_anything_may_have_any_field_and_a_wrong_one_is_named_when_it_is_missing() -> None:
    target = declare(open_to_all, target="{other}").target
    assert target is not None
    assert target.path({"other": "x"}) == "x"
    with pytest.raises(TargetMalformed, match=r"there is no field \{other\}"):
        target.path({})


def test_a_field_that_could_mean_two_things_is_refused() -> None:
    with pytest.raises(StepOptionInvalid, match=r"\{date\}, which is also a parameter"):
        declare(dated, target="{date}")


def test_a_value_whose_own_code_fails_while_it_is_written_is_told() -> None:
    class Odd:
        def __format__(self, _spec: str) -> str:
            raise RuntimeError("no words for it")

    target = target_of("{odd}")
    assert target is not None
    with pytest.raises(TargetMalformed, match="no words for it"):
        target.path({"odd": Odd()})


@pytest.mark.parametrize("serializer", ["pickle", "yaml", None, 1])
def test_there_are_three_serializers_and_no_pickle(serializer: Any) -> None:
    with pytest.raises(StepOptionInvalid, match=r"^serializer is .*: give one of json, text, bytes\.$"):
        declare(one, target="t", serializer=serializer)


@pytest.mark.parametrize("result", [7, "", ["s3://bucket"]])
def test_what_is_no_store_is_refused(result: Any) -> None:
    with pytest.raises(StepOptionInvalid, match="give a folder, a URL such as s3://bucket/prefix, or a Result"):
        declare(one, target="t", result=result)


def test_stores_are_given_as_urls_folders_or_objects_to_steps_workflows_and_flows(tmp_path: Path) -> None:
    assert declare(one, target="t", result="s3://bucket/prefix").result == S3Result("bucket", "prefix")
    assert declare(one, target="t", result=tmp_path).result == LocalResult(tmp_path)
    assert declare(one, target="t", result=f"file://{tmp_path}").result == LocalResult(tmp_path)
    assert Flow("f", result=GCSResult("bucket")).policy.result == store_at("gs://bucket")
    assert workflow("w", result="gs://bucket/a/b/")(lambda: {}).policy.result == GCSResult("bucket", "a/b")


def test_a_step_with_a_target_is_claimed_before_it_is_looked_for() -> None:
    assert not declare(one, target="t").is_plain
    assert declare(one, result="folder").is_plain


def test_a_package_that_is_missing_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "adlfs", None)
    with pytest.raises(StorePackageMissing) as missing:
        store_at("abfs://container/prefix").exists("t.txt")
    assert str(missing.value) == (
        "The store abfs:// needs a package that is not installed: pip install 'fsspec[abfs]'."
    )


def test_an_unknown_scheme_is_told_with_those_that_there_are() -> None:
    with pytest.raises(StoreUnknown, match="There is no store of results for 'warp://core/7'"):
        store_at("warp://core/7").read("t.txt")


@pytest.mark.parametrize(
    ("given", "is_right"),
    [
        ("s3://bucket/prefix", True),
        ("kept/here", True),
        ("/srv/kept", True),
        ("s3://", False),
        ("s3://key:word@b", False),
    ],
)
def test_the_setting_takes_a_folder_or_a_url_without_a_password(given: str, is_right: bool) -> None:
    settings, faults = read_settings({"RESULTS": given}, Path("absent"))
    assert ("RESULTS" not in faults) is is_right
    meant = given if "://" in given else str(Path(given).absolute())
    assert (settings.results == meant) is is_right
    assert "word@" not in faults.get("RESULTS", "")

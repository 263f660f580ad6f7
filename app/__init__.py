"""The service: `create_app` and `create_celery` wire it together, and do nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.commands import Commands
from app.config import load_settings
from app.execution.celery_app import make_celery
from app.execution.worker import equip
from app.workflows.registry import load_workflows

if TYPE_CHECKING:
    from flask import Flask

    from app.config import Settings
    from app.execution.celery_app import OperationsCelery
    from app.workflows.registry import Workflows


def create_app(settings: Settings | None = None) -> Flask:
    """The Flask application for these settings, by default those of the environment.

    Its `extensions` hold `celery`, the Celery app, and `commands`. Raises SettingsInvalid, ModuleUnusable.
    """
    # Here and not above: workers, of which many start, would load both for nothing.
    from app.cli import register_commands
    from app.web import make_web

    settings = settings or load_settings()
    celery, workflows = _assembled(settings)
    app = make_web(Commands(celery.engine, workflows), settings)
    app.extensions |= {"celery": celery, "settings": settings}
    register_commands(app)
    return app


def create_celery(settings: Settings | None = None) -> OperationsCelery:
    """The Celery app that workers run, without the web. Raises SettingsInvalid, ModuleUnusable."""
    return _assembled(settings or load_settings())[0]


def _assembled(settings: Settings) -> tuple[OperationsCelery, Workflows]:
    celery = make_celery(settings)
    workflows = load_workflows(settings.workflows)
    celery.loader.import_default_modules()
    celery.finalize()
    celery.engine.policies.learn({one.name: one.policy for one in workflows}, workflows.everywhere)
    equip(celery)
    return celery, workflows

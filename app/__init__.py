"""The service: `create_app` wires it together, and does nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.cli import register_commands
from app.commands import Commands
from app.config import load_settings
from app.execution.celery_app import make_celery
from app.execution.worker import equip
from app.web import make_web
from app.workflows.registry import load_workflows

if TYPE_CHECKING:
    from flask import Flask

    from app.config import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """The Flask application for these settings, by default those of the environment.

    Its `extensions` hold `celery`, the Celery app, and `commands`. Raises SettingsInvalid, ModuleUnusable.
    """
    settings = settings or load_settings()
    celery = make_celery(settings)
    workflows = load_workflows(settings.workflows)
    celery.loader.import_default_modules()
    celery.finalize()
    celery.engine.policies.learn({one.name: one.policy for one in workflows}, workflows.everywhere)
    equip(celery)
    app = make_web(Commands(celery.engine, workflows), settings)
    app.extensions |= {"celery": celery, "settings": settings}
    register_commands(app)
    return app

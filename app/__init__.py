"""The service: `create_app` and `create_celery` wire it together, and do nothing else.

This module imports its parts when they are called for. Any other program may import one package of `app`, such as the
pause primitive, without the database, the web or the signal handlers of the service's workers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from pausable.config import Settings
    from pausable.engine.celery_app import OperationsCelery
    from pausable.workflows.registry import Workflows


def create_app(settings: Settings | None = None) -> Flask:
    """The Flask application for these settings, by default those of the environment.

    Its `extensions` hold `celery`, the Celery app, and `commands`. Raises SettingsInvalid, ModuleUnusable.
    """
    from pausable.config import load_settings
    from pausable.service.operations import Commands

    from .cli import register_commands
    from .web import make_web

    settings = settings or load_settings()
    celery, workflows = _assembled(settings)
    app = make_web(Commands(celery.engine, workflows), settings)
    app.extensions |= {"celery": celery, "settings": settings}
    register_commands(app)
    return app


def create_celery(settings: Settings | None = None) -> OperationsCelery:
    """The Celery app that workers run, without the web. Raises SettingsInvalid, ModuleUnusable."""
    from pausable.config import load_settings

    return _assembled(settings or load_settings())[0]


def _assembled(settings: Settings) -> tuple[OperationsCelery, Workflows]:
    from pausable.engine.celery_app import make_celery
    from pausable.worker.worker import add_worker_parts
    from pausable.workflows.registry import load_workflows

    celery = make_celery(settings)
    workflows = load_workflows(settings.workflows)
    celery.loader.import_default_modules()
    celery.finalize()
    celery.engine.policies.learn({one.name: one.policy for one in workflows}, workflows.everywhere)
    add_worker_parts(celery)
    return celery, workflows

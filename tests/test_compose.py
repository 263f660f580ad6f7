"""docker-compose.yml is a valid Compose file, and each service's command does its work on this machine as well."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import redis
import yaml

from app.supervisor.broker import find_server, free_port
from app.supervisor.supervision import web_command, worker_command
from pausable.config import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]
DEADLINE = 60.0


def interpolated(value: Any) -> Any:
    """The content as Compose reads it where no variable is set."""
    if isinstance(value, dict):
        return {key: interpolated(item) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolated(item) for item in value]
    if isinstance(value, str):
        return re.sub(r"\$(?:(\$)|\{\w+:-([^}]*)\})", lambda found: found[1] or found[2], value)
    return value


COMPOSE: dict[str, Any] = interpolated(yaml.safe_load((ROOT / "docker-compose.yml").read_text()))
SERVICES: dict[str, Any] = COMPOSE["services"]


def command_of(service: str) -> list[str]:
    command = SERVICES[service]["command"]
    return list(command) if isinstance(command, list) else shlex.split(command)


def options_of(command: list[str], *left_out: str) -> set[tuple[str, ...]]:
    """The options of a command line, each with its value, behind the word `-m`."""
    words = shlex.join(command[command.index("-m") :]).split(" --")
    return {tuple(shlex.split(words)) for words in words if not words.startswith(left_out)}


def ends_well(attempt: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + DEADLINE
    while not attempt():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class Machine:
    """This machine in the place of the containers: the same commands, with its own folders, ports and broker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broker_port, self.web_port = free_port(), free_port()

    def command(self, words: list[str]) -> list[str]:
        """The command with this machine's Python, server and web port."""
        here = {"python": sys.executable, "valkey-server": str(find_server())}
        words = [here.get(word, word) for word in words]
        return [
            word.replace("0.0.0.0:8000", f"127.0.0.1:{self.web_port}").replace(":8000/", f":{self.web_port}/")
            for word in words
        ]

    def environ(self, service: str) -> dict[str, str]:
        """The service's environment with this machine's folders and broker."""
        asked = {name: str(value) for name, value in SERVICES[service]["environment"].items()}
        asked["BROKER_URL"] = asked["BROKER_URL"].replace("redis:6379", f"127.0.0.1:{self.broker_port}")
        asked["DATABASE_URL"] = asked["DATABASE_URL"].replace("/data", f"{self.folder}/data")
        folders = {"DATA_DIR": f"{self.folder}/data", "INPUT_DIR": f"{self.folder}/input"}
        return {**os.environ, **asked, **folders, "HOSTNAME": socket.gethostname()}

    def run(self, service: str, words: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command of the service to its end."""
        return subprocess.run(
            self.command(words), cwd=ROOT, env=self.environ(service), capture_output=True, text=True, timeout=DEADLINE
        )

    @contextmanager
    def running(self, words: list[str], environ: dict[str, str], cwd: Path = ROOT) -> Iterator[None]:
        """Keep a command running inside the block."""
        with (self.folder / "output").open("a") as output:
            process = subprocess.Popen(self.command(words), cwd=cwd, env=environ, stdout=output, stderr=output)
            try:
                yield
                assert process.poll() is None, (self.folder / "output").read_text()
            finally:
                process.terminate()
                process.wait(DEADLINE)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine on which the broker's command runs and `migrate` has done its work."""
    machine = Machine(tmp_path_factory.mktemp("compose"))
    broker = [*command_of("redis"), "--port", str(machine.broker_port), "--bind", "127.0.0.1"]
    with machine.running(broker, {**os.environ}, cwd=machine.folder):
        with redis.Redis(port=machine.broker_port) as client:
            assert ends_well(lambda: answers(client))
        migrated = machine.run("migrate", command_of("migrate"))
        assert migrated.returncode == 0, migrated.stderr
        yield machine


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_the_file_is_valid_by_the_compose_specification() -> None:
    schema = json.loads((ROOT / "tests" / "schemas" / "compose-spec.json").read_text())

    jsonschema.Draft202012Validator(schema).validate(COMPOSE)


def test_the_broker_is_named_redis_and_postgresql_is_a_profile() -> None:
    assert {"web", "worker", "migrate", "redis", "postgres"} == set(SERVICES)
    assert [name for name, service in SERVICES.items() if service.get("profiles")] == ["postgres"]


def test_any_number_of_workers_can_run() -> None:
    assert not {"container_name", "ports", "hostname"} & set(SERVICES["worker"])


def test_every_volume_that_is_used_is_declared() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}

    assert {name for name in used if "/" not in name} == set(COMPOSE["volumes"])


def test_containers_run_what_make_run_runs() -> None:
    settings = Settings(host="0.0.0.0")  # noqa: S104 - inside a container

    assert options_of(command_of("web")) == options_of([*web_command(settings)], "log-level", "config")
    assert options_of(command_of("worker")) == options_of([*worker_command(settings)], "loglevel")


def test_the_image_runs_the_web_server_by_default() -> None:
    [line] = re.findall(r"^CMD (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    assert json.loads(line) == command_of("web")


#: The settings that containers do not take from outside, each with the reason.
LEFT_OUT = {
    "host": "the web server listens on every address of its container; Compose publishes it on HOST",
    "port": "the web server listens on 8000 in its container; Compose publishes it on PORT",
    "data_dir": "the volume `data` is mounted there",
    "input_dir": "the folder INPUT_DIR of the host is mounted there",
    "workflow_store": "it lies in DATA_DIR, which web and workers share",
    "secrets_dir": "Compose mounts secrets at /run/secrets, which is the default",
    "publish_to": "for cloud functions alone",
    "function_seconds": "for cloud functions alone",
    "function_steps": "for cloud functions alone",
}


@pytest.mark.parametrize("service", ["web", "worker", "migrate"])
def test_containers_pass_on_every_setting_but_those_that_are_left_out_for_a_reason(service: str) -> None:
    passed_on = {name.lower() for name in SERVICES[service]["environment"]}

    assert passed_on | LEFT_OUT.keys() == set(Settings.model_fields)
    assert not passed_on & LEFT_OUT.keys()


def test_each_setting_that_is_passed_on_is_the_one_of_the_same_name() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    environment = yaml.safe_load(text)["x-service"]["environment"]

    assert {name: value for name, value in environment.items() if not value.startswith(f"${{{name}:-")} == {}


def test_migrate_lays_the_database_and_the_first_token(machine: Machine) -> None:
    assert (machine.folder / "data" / "operations.db").exists()
    assert (machine.folder / "data" / "token").stat().st_mode & 0o777 == 0o600


def test_migrate_can_run_again(machine: Machine) -> None:
    again = machine.run("migrate", command_of("migrate"))

    assert again.returncode == 0, again.stderr
    assert again.stdout == f"The first user's token is kept in {machine.folder}/data/token.\n"


def test_web_becomes_healthy(machine: Machine) -> None:
    [_, *check] = SERVICES["web"]["healthcheck"]["test"]

    with machine.running(command_of("web"), machine.environ("web")):
        assert ends_well(lambda: machine.run("web", check).returncode == 0)


def test_worker_becomes_healthy(machine: Machine) -> None:
    [_, check] = SERVICES["worker"]["healthcheck"]["test"]

    with machine.running(command_of("worker"), machine.environ("worker")):
        line = ["sh", "-c", check.replace("python", shlex.quote(sys.executable), 1)]
        assert ends_well(lambda: machine.run("worker", line).returncode == 0)

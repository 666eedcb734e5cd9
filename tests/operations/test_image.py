"""
What the containers start, as processes: the image's entry point and arguments, with the environment of the compose
file, over a real PostgreSQL that asks for a password. Where the machine allows it they see a read-only file system.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import psycopg
import pytest

from diijam_consent_sdk import ConsentClient
from diijam_consent_sdk.events import AccountOpened, Granted, Withdrawn
from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import new_token
from tests.client.conftest import eventually
from tests.operations.deployment import ROOT, Image, compose
from tests.stores import cluster

IMAGE = Image.read()
SERVICES = compose()["services"]
PASSWORD = "a-word-of-the-tests"
# A new mount namespace, in which everything is read-only from then on. It is root's: in the user namespace that others
# need for one, root's folders are nobody's, and the service takes no tokens from there.
READ_ONLY = ["unshare", "--mount", "sh", "-c", 'mount -o remount,bind,ro / && exec "$@"', "sh"]


def can_be_read_only() -> bool:
    """Whether this machine lets a process have such a namespace."""
    tried = [*READ_ONLY, "sh", "-c", f"! touch {ROOT}/written 2>/dev/null"]
    return bool(shutil.which("unshare")) and subprocess.run(tried, capture_output=True, check=False).returncode == 0


WRAPPED = READ_ONLY if can_be_read_only() else []


@attrs.define
class Container:
    """A container of the compose file, as a process of this machine."""

    name: str
    places: dict[str, str]  # what stands in the compose file, and what stands for it here
    process: subprocess.Popen[str] | None = None
    url: str = ""
    reader: threading.Thread | None = None

    def environment(self) -> dict[str, str]:
        """The image's variables and the container's; of the machine's, none of ours."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DIIJAM_", "PG"))}
        own = {name: self._here(value) for name, value in SERVICES[self.name]["environment"].items()}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {**kept, **IMAGE.environment, **own, "PATH": path}

    def command(self, *more: str) -> list[str]:
        """What it starts."""
        arguments = SERVICES[self.name].get("command", IMAGE.command)
        return [*WRAPPED, *IMAGE.entrypoint, *map(self._here, arguments), *more]

    def run(self) -> str:
        """Run it to its end."""
        done = subprocess.run(
            self.command(), env=self.environment(), capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self) -> None:
        """Start it on a free port, and wait until it listens."""
        self.process = subprocess.Popen(
            self.command("--port", "0"), env=self.environment(), stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr
        said = []
        for line in self.process.stderr:
            said.append(line)
            if found := re.match(r"listening on http://0\.0\.0\.0:(\d+)", line):
                self.url = f"http://127.0.0.1:{found[1]}"
                break
        if not self.url:
            self.process.communicate()
            raise AssertionError("".join(said))
        self.reader = threading.Thread(target=self.process.stderr.read, daemon=True)
        self.reader.start()

    def check(self) -> int:
        """Run the image's health check; return its status."""
        port = self.url.rpartition(":")[2]
        command = [word.replace("8700", port) for word in IMAGE.health_check]
        return subprocess.run(command, env=self.environment(), capture_output=True, check=False).returncode

    def stop(self) -> int:
        """Stop it as `compose down` does; return its status."""
        assert self.process
        assert self.process.stderr
        assert self.reader
        self.process.terminate()
        status = self.process.wait(int(SERVICES[self.name]["stop_grace_period"].removesuffix("s")))
        self.reader.join(10)
        self.process.stderr.close()
        return status

    def _here(self, text: str) -> str:
        for was, now in self.places.items():
            text = text.replace(was, now)
        return text


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A database of the compose file's name and password, its socket, and the secrets of the service."""
    folder, server = tmp_path_factory.mktemp("compose"), cluster.shared()
    passfile = folder / "passfile"
    passfile.write_text(f"*:*:consent:consent:{PASSWORD}\n")
    passfile.chmod(0o400)
    rules = server.data / "pg_hba.conf"
    before = rules.read_text()
    with psycopg.connect(server.url(), autocommit=True) as db:
        db.execute(f"CREATE ROLE consent LOGIN PASSWORD '{PASSWORD}'")
        db.execute("CREATE DATABASE consent OWNER consent")
        rules.write_text(f"local consent consent scram-sha-256\n{before}")
        db.execute("SELECT pg_reload_conf()")
        try:
            assert eventually(lambda: not can_connect(f"postgresql://consent@/consent?host={server.folder}"))
            yield {"/var/run/postgresql": str(server.folder), "/run/secrets/db-passfile": str(passfile),
                   "/etc/consent": str(folder)}  # fmt: skip
        finally:
            rules.write_text(before)
            db.execute("SELECT pg_reload_conf()")
            db.execute("DROP DATABASE consent WITH (FORCE)")
            db.execute("DROP ROLE consent")


def can_connect(url: str) -> bool:
    """Whether the database lets us in."""
    with contextlib.suppress(psycopg.OperationalError):
        psycopg.connect(url).close()
        return True
    return False


@pytest.fixture(scope="module")
def service(places: dict[str, str]) -> Iterator[Container]:
    """`init`, then `service-1`, with a token for the relay beside its tokens."""
    Container("init", places).run()
    folder = Path(places["/etc/consent"])
    scopes = [Scope.ASK, Scope.READ, Scope.WRITE, Scope.RELAY]
    (folder / "upstream.token").write_text(new_token(folder / "tokens.json", "relay", scopes))
    (folder / "upstream.token").chmod(0o400)
    container = Container("service-1", places)
    container.start()
    yield container
    assert container.stop() == 0


@pytest.fixture(scope="module")
def relay(service: Container, places: dict[str, str]) -> Iterator[Container]:
    """`relay`, over it."""
    container = Container("relay", {**places, "http://service:8700": service.url})
    container.start()
    yield container
    assert container.stop() == 0


def test_a_no_goes_through_the_containers(service: Container, relay: Container, places: dict[str, str]) -> None:
    """What is said to the relay is in PostgreSQL, and both processes answer by it."""
    token = (Path(places["/etc/consent"]) / "upstream.token").read_text()
    with (
        ConsentClient.from_url(relay.url, token=token, deadline=10) as far,
        ConsentClient.from_url(service.url, token=token, deadline=10, follow=False) as near,
    ):
        far.record("u-1", AccountOpened(), Granted("marketing", notice="n", channels={"email"}))
        assert far.can_market("u-1", "email")
        assert near.can_market("u-1", "email")
        near.record("u-1", Withdrawn("marketing"))
        assert eventually(lambda: not far.can_market("u-1", "email"), within=20)


def test_the_health_check_tells_whether_the_service_is_well(
    service: Container, relay: Container, places: dict[str, str]
) -> None:
    """It succeeds while the service answers, and fails without its tokens or where nothing listens."""
    assert service.check() == relay.check() == 0
    tokens = Path(places["/etc/consent"], "tokens.json")
    right = tokens.read_bytes()
    try:
        tokens.write_bytes(b"[")
        time.sleep(0.6)  # the file is read again after half a second
        assert service.check() != 0
    finally:
        tokens.write_bytes(right)
    assert attrs.evolve(service, url="http://127.0.0.1:9").check() != 0  # the port "discard"


def test_nothing_is_written_to_the_file_system(service: Container) -> None:
    """The processes of this module ran on a file system that refuses what they would write."""
    if not WRAPPED:
        pytest.skip("this machine lets no process have a read-only view of it (unshare --mount)")
    tried = [*READ_ONLY, "touch", str(ROOT / "written")]
    assert subprocess.run(tried, capture_output=True, check=False).returncode != 0
    assert service.process
    assert service.process.poll() is None


def test_the_database_is_well_once_it_is_itself(places: dict[str, str]) -> None:
    """Its health check is for the server that stays, whose process is in the first line of the file that it reads."""
    kind, command = SERVICES["db"]["healthcheck"]["test"]
    server = cluster.shared()
    assert server._server
    here = command.replace("$$", "$").replace("= 1 ", f"= {server._server.pid} ").replace("pg_isready --quiet", "true")
    environment = {**os.environ, "PGDATA": str(server.data)}
    assert kind == "CMD-SHELL"
    assert subprocess.run(["sh", "-c", here], env=environment, check=False).returncode == 0
    other = here.replace(str(server._server.pid), "1")
    assert subprocess.run(["sh", "-c", other], env=environment, check=False).returncode != 0


@pytest.mark.skipif(not (ROOT / "diijam_consent_sdk").exists(), reason="no checkout: what is installed is under test")
def test_the_image_has_all_that_the_package_is_built_from(tmp_path: Path) -> None:
    """What the image's first stage copies is enough to build the wheel, and the package is whole in it."""
    (tmp_path / "src").mkdir()
    for text in IMAGE.of("COPY"):
        *sources, target = text.split()
        if sources[0].startswith("--from"):
            continue
        for source in sources:
            if (ROOT / source).is_dir():
                kept = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / source, tmp_path / "src" / target, ignore=kept)
            else:
                shutil.copy(ROOT / source, tmp_path / "src")
    build = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(tmp_path),
        str(tmp_path / "src"),
    ]
    done = subprocess.run(build, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    listed = subprocess.run([sys.executable, "-m", "zipfile", "-l", wheel], capture_output=True, text=True, check=True)
    for part in ("service/main.py", "cli/__main__.py", "customer_file/style.css", "py.typed"):
        assert f"diijam_consent_sdk/{part}" in listed.stdout

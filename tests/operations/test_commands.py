"""The commands of the operator's pages run as they are written, one after the other."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from diijam_consent_sdk import ConsentClient
from diijam_consent_sdk.events import AccountOpened, Granted, Withdrawn
from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import list_tokens, new_token
from diijam_consent_sdk.stores import MemoryStore, SqliteStore
from tests.operations.shell import Machine, forking
from tests.service.conftest import running

SIGNED_UP = (AccountOpened(), Granted("marketing", notice="n", channels={"email"}))
ALL = [Scope.ASK, Scope.READ, Scope.WRITE]
# The service reads its tokens again after half a second; whoever types the command is slower.
TYPED = {"diijam-consent ping": "sleep 0.6; diijam-consent ping"}


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip a test where a program of its page is missing."""
    missing = [name for name in programs if not shutil.which(name)]
    return pytest.mark.skipif(bool(missing), reason=f"apt-get install {' '.join(missing)}")


@pytest.fixture(scope="module")
def forker() -> Iterator[str]:
    """What runs the commands of all pages quickly."""
    with forking() as port:
        yield port


@pytest.fixture
def machine(tmp_path: Path, forker: str) -> Machine:
    """A machine on which nothing has happened yet."""
    return Machine(tmp_path, forker)


@contextmanager
def serving(tokens: Path) -> Iterator[str]:
    """A service that lets in the tokens of a file, which has one."""
    tokens.parent.mkdir(parents=True, exist_ok=True)
    new_token(tokens, "shop" if tokens.parent.name == "consent" else "other", ALL)
    service = running(MemoryStore(), tokens)
    try:
        yield service.url
    finally:
        service.stop()


def ledger(path: Path, *users: str) -> SqliteStore:
    """A ledger whose users may be mailed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    store = SqliteStore(path)
    for user_id in users:
        store.append(user_id, SIGNED_UP)
    return store


def kept_head(path: Path) -> str:
    """The head of a ledger."""
    with ConsentClient.from_url(f"sqlite:///{path}", follow=False) as consent:
        return consent.head()


def may_be_mailed(path: Path, user_id: str) -> bool:
    """What a ledger answers."""
    with ConsentClient.from_url(f"sqlite:///{path}", follow=False) as consent:
        return bool(consent.can_market(user_id, "email"))


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def test_the_first_set_up(machine: Machine) -> None:
    """The version stands behind a link, the service's folder is its own, and a client is let in with the token made."""
    machine.at("/opt/consent").rmdir()
    machine.at("/var/lib/consent").rmdir()
    asked = machine.run("tls.md", blocks=slice(0, 1))
    assert asked == ["pip install .[service]", "useradd --system consent"]
    assert machine.at("/opt/consent").readlink() == Path("consent-1")
    assert oct(machine.at("/var/lib/consent").stat().st_mode)[-3:] == "700"
    tokens = machine.at("/var/lib/consent/tokens.json")
    assert [entry.name for entry in list_tokens(tokens)] == ["shop"]
    secret = new_token(tokens, "mailer", ALL)
    service = running(MemoryStore(), tokens)
    try:
        machine.run("tls.md", {"https://consent.example": service.url, "dcs_...": secret}, blocks=slice(2, 3))
    finally:
        service.stop()


@needs("openssl")
def test_containers(machine: Machine) -> None:
    """The image is built, secrets and tokens are made, and a client of the service is let in with its token."""
    secrets = machine.folder / "work" / "deploy" / "secrets"
    machine.at("/etc/consent").rmdir()
    machine.at("/etc/consent").symlink_to(secrets)
    with serving(secrets / "service" / "tokens.json") as url:
        asked = machine.run("containers.md", {"http://127.0.0.1:8701": url, **TYPED})
    assert asked[0] == "podman build --format docker -f deploy/Containerfile -t diijam-consent ."
    password = (secrets / "db" / "password").read_text()
    assert (secrets / "db" / "passfile").read_text() == f"*:*:consent:consent:{password}\n"
    assert len(password) == 64
    made = {entry.name: set(map(str, entry.scopes)) for entry in list_tokens(secrets / "service" / "tokens.json")}
    assert made["relay"] == {"ask", "read", "relay", "write"}
    assert (secrets / "relay" / "upstream.token").read_text().startswith("dcs_")
    assert {oct(path.stat().st_mode)[-3:] for path in secrets.glob("*/p*")} == {"400"}
    assert {oct(path.stat().st_mode)[-3:] for path in secrets.iterdir()} == {"700", "755"}


def test_rotating_tokens(machine: Machine) -> None:
    """The client goes on with the new token; a token that leaked is replaced by one with the same name."""
    tokens = machine.at("/var/lib/consent/tokens.json")
    with serving(tokens) as url:
        (old,) = list_tokens(tokens)
        machine.run("tokens.md", {"https://consent.example": url, **TYPED})
    (new,) = list_tokens(tokens)
    assert new.name == old.name == "shop"
    assert new.sha256 != old.sha256
    assert machine.at("/etc/shop/consent.token").read_text().startswith("dcs_")


@needs("sqlite3")
def test_an_upgrade(machine: Machine) -> None:
    """The new version is tried on a copy, then takes the ledger over; the old one stays beside it."""
    path, backup = machine.at("/var/lib/consent/consents.db"), machine.at("/srv/backups/consents-2026-11-24.db")
    for each in (path, backup):
        ledger(each, "u-1").close()
    machine.at("/opt/consent").rmdir()
    old = machine.at("/opt/consent-1/bin")
    old.mkdir(parents=True)
    (old / "diijam-consent").symlink_to(machine.folder / "bin" / "diijam-consent")
    machine.at("/opt/consent").symlink_to("consent-1")
    asked = machine.run("upgrades.md")
    assert asked == ["pip install .[service]", "systemctl stop consent", "systemctl start consent"]
    assert machine.at("/opt/consent").readlink() == Path("consent-2")
    assert kept_head(machine.at("/srv/backups/before-upgrade.db")) == kept_head(path)
    assert not list((machine.folder / "work").glob("rehearsal*"))


@needs("sqlite3", "curl")
def test_a_restore_and_its_drill(machine: Machine) -> None:
    """A no that the backup lacks is in force again after the restore; the drill leaves nothing behind."""
    work = machine.folder / "work"
    path, backups = work / "consents.db", machine.at("/srv/backups")
    with closing(ledger(path, "u-1")) as store:
        ledger(backups / "consents-2026-11-24.db", "u-1").close()
        (backups / "head-2026-11-23").write_text(kept_head(backups / "consents-2026-11-24.db"))
        machine.run("backups.md", blocks=slice(0, 1))
        store.append("u-1", [Withdrawn("marketing")])
    (backups / "consents-today.db").write_bytes(path.read_bytes())
    asked = machine.run("backups.md", blocks=slice(1, 2))
    assert asked == ["systemctl stop consent", "systemctl start consent"]
    assert not may_be_mailed(path, "u-1")
    assert kept_head(path) != kept_head(work / "replaced" / "consents.db")
    before = sorted(work.iterdir())
    machine.run("backups.md", {"8799": str(free_port()), "sleep 1": "sleep 0.1"}, blocks=slice(2, 3))
    assert sorted(work.iterdir()) == before

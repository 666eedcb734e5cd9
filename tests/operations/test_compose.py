"""The compose file and the Kubernetes manifests: valid, hardened, without a secret or a registry's address."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from diijam_consent_sdk.cli.app import app
from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import new_token
from diijam_consent_sdk.service.tokens import TokenFile
from tests.operations.deployment import DEPLOY, Image, compose, kubernetes

COMPOSE = compose()
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name in SERVICES if name != "db")
IMAGES = re.compile(r"^\s*(?:image: |FROM )(\S+)", re.MULTILINE)


def test_it_is_a_compose_file() -> None:
    """The schema of the Compose specification, as the package `check-jsonschema` carries it, finds no fault with it."""
    spec = find_spec("check_jsonschema")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("make test installs check-jsonschema, which has the schema")
    schema = Path(spec.submodule_search_locations[0], "builtin_schemas", "vendor", "compose-spec.json")
    validator = jsonschema_rs.validator_for(json.loads(schema.read_text(encoding="utf-8")))
    assert [str(error) for error in validator.iter_errors(COMPOSE)] == []
    assert not validator.is_valid({**COMPOSE, "services": {"db": {"imagee": "postgres"}}})


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_may_do_as_little_as_it_can(name: str) -> None:
    """No container has a capability, gains a right or writes to its own file system; ports are this machine's alone."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_no_container_is_root() -> None:
    """The image's user is a number, and so is the database's."""
    assert Image.read().of("USER") == ["10001:10001"]
    assert SERVICES["db"]["user"] == "999:999"
    assert all("user" not in SERVICES[name] for name in OURS)


def test_secrets_are_files() -> None:
    """Variables name files; each secret that is named is one of the file's; git ignores where they lie."""
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            assert not re.search(r"(PASSWORD|TOKEN|KEY)$", variable), (name, variable)
            assert not re.search(r"://[^/@]*:[^/@]*@", str(value)), (name, variable)
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
    assert all(secret["file"].startswith("./secrets/") for secret in COMPOSE["secrets"].values())
    assert "/deploy/secrets/" in (DEPLOY.parent / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_tokens_are_mounted_as_folders() -> None:
    """A token that is added replaces its file, which a mounted file would not show."""
    for name in ("service-1", "service-2", "relay"):
        (mount,) = (volume for volume in SERVICES[name]["volumes"] if volume.startswith("./secrets/"))
        assert re.fullmatch(r"\./secrets/\w+:/etc/consent:ro", mount)


def test_the_database_is_on_no_network() -> None:
    """Its socket lies in a volume that only it, the service and the two commands mount."""
    assert SERVICES["db"]["network_mode"] == "none"
    mounting = {name for name in SERVICES if any(v.startswith("socket:") for v in SERVICES[name].get("volumes", ()))}
    assert mounting == {"db", "init", "admin", "service-1", "service-2"}


def test_what_is_named_is_there() -> None:
    """Volumes and containers that others name are in the file."""
    volumes = {v.partition(":")[0] for service in SERVICES.values() for v in service.get("volumes", ())}
    assert {name for name in volumes if not name.startswith("./")} == set(COMPOSE["volumes"])
    for service in SERVICES.values():
        assert set(service.get("depends_on", ())) <= set(SERVICES)
    for name in {service["build"]["dockerfile"] for service in SERVICES.values() if "build" in service}:
        assert (DEPLOY / SERVICES["init"]["build"]["context"] / name).exists()


def test_no_file_names_a_registry() -> None:
    """Images have plain names, without the address of a registry before them."""
    names = [name for path in DEPLOY.glob("*") if path.is_file() for name in IMAGES.findall(path.read_text("utf-8"))]
    assert {"diijam-consent", "postgres:17", "python:3.13-slim"} <= set(names)
    assert [name for name in names if "/" in name or "." in name.partition(":")[0]] == []


def test_every_command_is_one() -> None:
    """What the image, the containers and the pods start is taken by the command line as it is written."""
    (pods,) = (kubernetes()["Deployment"]["spec"]["template"]["spec"],)
    commands = [SERVICES[name].get("command", Image.read().command) for name in OURS if name != "admin"]
    commands += [container["args"] for container in pods["initContainers"] + pods["containers"]]
    assert ["init"] in commands
    assert len(commands) == 6
    for command in commands:
        app.parse_args(command, print_error=False, exit_on_error=False)


def test_pods_may_do_as_little_as_they_can() -> None:
    """No pod is root, gains a right, writes to its file system, or has a token of the cluster."""
    pods = kubernetes()["Deployment"]["spec"]["template"]["spec"]
    assert pods["securityContext"]["runAsNonRoot"] is True
    assert pods["automountServiceAccountToken"] is False
    for container in pods["initContainers"] + pods["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_probes_ask_what_there_is() -> None:
    """Probes name the container's port, and ask for no health: a broken ledger must leave the way open for noes."""
    (container,) = kubernetes()["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": 8700}]
    assert "startupProbe" not in container
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["tcpSocket"] == {"port": "http"}
        assert "httpGet" not in container[probe]


def test_a_secret_of_kubernetes_is_a_tokens_file(tmp_path: Path) -> None:
    """The folder of a mounted Secret is taken, links and sticky bit and all, and a changed Secret is read again."""
    (tmp_path / "consent").mkdir()
    mount, now = tmp_path / "consent", 0.0
    mount.chmod(0o1777)
    tokens: list[str] = []
    for version in ("..1", "..2"):
        (mount / version).mkdir()
        tokens.append(new_token(mount / version / "tokens.json", "shop", [Scope.ASK]))
        (mount / version / "tokens.json").chmod(0o440)
    (mount / "..data").symlink_to("..1")
    (mount / "tokens.json").symlink_to("..data/tokens.json")
    file = TokenFile(mount / "tokens.json", clock=lambda: now)
    assert [file.find(token) is not None for token in tokens] == [True, False]
    (mount / "..data_tmp").symlink_to("..2")
    (mount / "..data_tmp").rename(mount / "..data")
    now = 1.0
    assert [file.find(token) is not None for token in tokens] == [False, True]


def test_the_objects_fit_each_other() -> None:
    """The service, the budget and the network policy are about the pods of the deployment, and the port is theirs."""
    objects = kubernetes()
    labels = {"app": "consent"}
    assert objects["Deployment"]["spec"]["template"]["metadata"]["labels"] == labels
    assert objects["Deployment"]["spec"]["selector"] == {"matchLabels": labels}
    assert objects["Service"]["spec"]["selector"] == labels
    assert objects["Service"]["spec"]["ports"] == [{"name": "http", "port": 8700, "targetPort": "http"}]
    assert objects["PodDisruptionBudget"]["spec"]["selector"] == {"matchLabels": labels}
    assert objects["NetworkPolicy"]["spec"]["podSelector"] == {"matchLabels": labels}

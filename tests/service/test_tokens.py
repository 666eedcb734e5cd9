"""Tokens: how they are made and kept, and who is let in."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import stat
import threading
import time
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest
import structlog

from diijam_consent_sdk._file_owners import _is_private_group
from diijam_consent_sdk.service import create_app
from diijam_consent_sdk.service import tokens as module
from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import list_tokens, new_token, revoke_token, rotate_token
from diijam_consent_sdk.service.tokens import TokenFile, TokensUnreadable
from diijam_consent_sdk.stores import MemoryStore, messages
from tests.service.conftest import NONCE, OPENED, Asker, Running, Start, on_a_loop
from tests.service.fakes import FaultyStore
from tests.service.test_problems import is_problem
from tests.stores.contract import eventually


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a tokens file may be made."""
    return tmp_path / "tokens.json"


def scopes_of(tokens: TokenFile, token: str) -> AbstractSet[Scope] | None:
    """The scopes of a token in a file; None if it has none such."""
    entry = tokens.find(token)
    return entry.scopes if entry else None


@pytest.mark.parametrize("path", messages.PATHS.values())
@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer unknown", "Basic dTpw", "bearer \xe9\xff", "Bearer a b"],
)
def test_without_a_known_token_nobody_is_let_in(
    shared: Running, http: httpx.Client, path: str, header: str | None
) -> None:
    """A question without a token, or with an unknown one, is unauthorized, before its body is looked at."""
    headers = {} if header is None else {b"Authorization": header.encode("latin-1")}
    answer = http.post(shared.url + path, content=b"{", headers=headers)
    is_problem(answer, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_only_the_hash_is_kept(path: Path) -> None:
    """The file keeps of a token its name, SHA-256, scopes and times, is its owner's alone, and has no other content."""
    token = new_token(path, "orders", [Scope.READ])
    assert token not in path.read_text()
    (entry,) = json.loads(path.read_text())
    assert set(entry) == {"id", "name", "sha256", "scopes", "created_at", "expires_at"}
    assert (entry["name"], entry["scopes"], entry["expires_at"]) == ("orders", ["read"], None)
    assert entry["sha256"] == hashlib.sha256(token.encode()).hexdigest()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_new_token_keeps_the_others(path: Path) -> None:
    """Tokens are added, also by several commands at once; none is lost."""
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda name=f"t-{n}": made.append(new_token(path, name, [Scope.READ])))
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    known = TokenFile(path)
    assert all(known.find(token) for token in made)
    assert len(json.loads(path.read_text())) == 20


def test_a_link_to_the_file_stays_one(path: Path, tmp_path: Path) -> None:
    """A token is added to the file that a link leads to."""
    link = tmp_path / "link.json"
    new_token(path, "reader", [Scope.READ])
    link.symlink_to(path)
    token = new_token(link, "writer", [Scope.WRITE])
    assert link.is_symlink()
    assert scopes_of(TokenFile(path), token) == {Scope.WRITE}


def test_a_token_needs_a_scope(path: Path) -> None:
    """A token without a scope, or with an unknown one, is not made."""
    with pytest.raises(ValueError, match=r"give --scope, one or more of ask, .*, relay"):
        new_token(path, "orders", [])
    with pytest.raises(ValueError, match="admin"):
        new_token(path, "orders", ["admin"])  # type: ignore[list-item]
    assert not path.exists()


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[1]", "null", '[{"id": "a", "sha256": "x", "scopes": ["read"], "created_at": "2026-11-24T08:00:00Z"}]'],
)
def test_a_malformed_file_is_an_error_at_the_start(path: Path, content: str) -> None:
    """A file that holds no tokens keeps the service from starting, and a new token from replacing what is there."""
    path.write_text(content)
    with pytest.raises(ValueError, match="is no tokens file"):
        create_app(MemoryStore(), tokens=path)
    with pytest.raises(ValueError, match="is no tokens file"):
        new_token(path, "reader", [Scope.READ])
    assert path.read_text() == content


def test_a_token_that_is_given_two_ends_is_none(path: Path) -> None:
    """A key that stands twice in the file is an error, not whichever comes last."""
    new_token(path, "reader", [Scope.READ])
    text = path.read_text()
    path.write_text(text.replace('"scopes"', '"scopes": ["read", "write"], "scopes"'))
    with pytest.raises(ValueError, match=r"is no tokens file \(a key is given twice\)"):
        TokenFile(path)
    path.write_text(text)
    assert TokenFile(path)


def test_a_missing_file_is_an_error_at_the_start(path: Path) -> None:
    """Without a tokens file the service does not start."""
    with pytest.raises(FileNotFoundError):
        create_app(MemoryStore(), tokens=path)


def test_a_revoked_token_stops_within_seconds(start: Start, path: Path, http: httpx.Client) -> None:
    """The file is read again when it changes: a new token is let in, a revoked one is not, without a restart."""
    old = new_token(path, "reader", [Scope.READ])
    running = start(tokens=path)
    was = Asker(running.url, old, http)
    was.load()
    path.unlink()
    now = Asker(running.url, new_token(path, "reader", [Scope.READ]), http)
    until = time.monotonic() + 3
    while was.post("/v1/records/load", {"nonce": NONCE, "user_ids": []}).status_code != 401:
        assert time.monotonic() < until
        time.sleep(0.05)
    now.load()


def test_a_token_revoked_before_its_question_is_whole_is_refused(start: Start, path: Path, http: httpx.Client) -> None:
    """A question whose last byte comes after its token was revoked is refused, and writes nothing."""
    token = new_token(path, "writer", [Scope.READ, Scope.WRITE])
    running = start(tokens=path)
    asker = Asker(running.url, token, http)
    body = json.dumps({"nonce": NONCE, "user_id": "u-1", "events": [OPENED]}).encode()
    address = httpx.URL(running.url)
    with closing(HTTPConnection(address.host, address.port, timeout=10)) as connection:
        connection.putrequest("POST", "/v1/events/append")
        connection.putheader("Authorization", f"Bearer {token}")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:-1])
        asker.load()
        kept = path.read_text()
        path.write_text("[]")
        assert eventually(lambda: asker.post("/v1/records/load", {}).status_code == 401)
        connection.send(body[-1:])
        assert connection.getresponse().status == 401
    path.write_text(kept)
    assert eventually(lambda: asker.post("/v1/records/load", {}).status_code != 401)
    assert asker.load("u-1")["records"][0]["version"] == 0


def test_a_token_revoked_while_its_question_waits_gets_no_record(start: Start, path: Path, http: httpx.Client) -> None:
    """A load that waits for its turn while its token is revoked is refused when it would be answered."""
    store = FaultyStore()
    token = new_token(path, "reader", [Scope.READ])
    asker = Asker(start(store, tokens=path).url, token, http)
    store.holds["load"] = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(asker.post, "/v1/records/load", {"nonce": NONCE, "user_ids": ["u-1"]})
        assert eventually(lambda: "load" in store.calls)
        revoke_token(path, "reader")
        assert eventually(lambda: asker.post("/v1/token", {"nonce": NONCE}).status_code == 401)
        store.holds["load"].set()
        is_problem(waiting.result(10), "unauthorized")


def narrow_token(path: Path, *scopes: Scope) -> None:
    """Leave the file's one token these scopes alone."""
    entry = json.loads(path.read_text())[0]
    path.write_text(json.dumps([{**entry, "scopes": scopes}]))


WAITING: dict[str, tuple[str, dict[str, Any], list[Scope], list[Scope]]] = {  # by the store's method
    "standings": ("/v1/standings/load", {"user_ids": ["u-1", "u-2"]}, [Scope.ASK], [Scope.ASK_PROFILE]),
    "list_standings": (
        "/v1/standings/list", {"after": None, "limit": 10}, [Scope.ASK, Scope.LIST], [Scope.ASK_PROFILE, Scope.LIST]
    ),
    "erasures": (
        "/v1/erasures/due", {"holder": "mailer", "after": None, "limit": 10}, [Scope.WRITE_ERASURES, Scope.CONFIRM],
        [Scope.CONFIRM],
    ),
}  # fmt: skip


@pytest.mark.parametrize("method", WAITING)
def test_a_token_narrowed_while_its_question_waits_gets_no_more_than_is_left(
    start: Start, path: Path, http: httpx.Client, method: str
) -> None:
    """An answer that was made for the scopes of before is not sent; asked again, there is one for those of now."""
    store = FaultyStore()
    store.inner.register_holder("mailer")
    question, asked, scopes, left = WAITING[method]
    token = new_token(path, "asker", scopes)
    asker = Asker(start(store, tokens=path).url, token, http)
    store.holds[method] = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(asker.post, question, {"nonce": NONCE, **asked})
        assert eventually(lambda: method in store.calls)
        narrow_token(path, *left)
        assert eventually(lambda: asker.ask("/v1/token")["scopes"] == sorted(left))
        store.holds[method].set()
        is_problem(waiting.result(10), "store-unavailable")
    again = asker.post(question, {"nonce": NONCE, **asked})
    assert again.status_code == 403 or again.json()["view"] == [Scope.ASK_PROFILE]


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("left", [[], [Scope.WRITE]])
def test_a_token_that_may_read_no_more_gets_no_record_of_what_it_wrote(
    start: Start, path: Path, http: httpx.Client, left: list[Scope], *, many: bool
) -> None:
    """A write that waits for its turn meanwhile is acknowledged all the same: it was let in, and is written."""
    store = FaultyStore()
    token = new_token(path, "writer", [Scope.READ, Scope.WRITE])
    asker = Asker(start(store, tokens=path).url, token, http)
    write = {"user_id": "u-1", "events": [OPENED]}
    conflict = {**write, "expected_version": 7}
    path_of, method = ("/v1/events/append-many", "append_many") if many else ("/v1/events/append", "append")
    store.holds[method] = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        question = {"nonce": NONCE, **({"writes": [write, conflict]} if many else write)}
        waiting = pool.submit(asker.post, path_of, question)
        assert eventually(lambda: method in store.calls)
        if left:
            narrow_token(path, *left)
            assert eventually(lambda: asker.ask("/v1/token")["scopes"] == left)
        else:
            revoke_token(path, "writer")
            assert eventually(lambda: asker.post("/v1/token", {"nonce": NONCE}).status_code == 401)
        store.holds[method].set()
        answer = waiting.result(10)
    assert answer.status_code == 200
    found = answer.json()["results"] if many else [answer.json()]
    assert found[0]["version"] == 1
    assert "record" not in found[0]
    assert not many or "actual" not in found[1]["problem"]
    assert store.inner.load(["u-1"]).records[0].version == 1


def test_a_file_that_breaks_lets_nobody_in_until_it_is_right(path: Path) -> None:
    """A file that becomes unreadable refuses every token, then is read again once it is put right."""
    now = 0.0
    token = new_token(path, "reader", [Scope.READ])
    right = path.read_bytes()
    tokens = TokenFile(path, clock=lambda: now)
    path.write_bytes(b"[")
    now += 1
    for _ in range(2):
        with pytest.raises(TokensUnreadable):
            tokens.find(token)
    path.write_bytes(right)
    now += 1
    assert scopes_of(tokens, token) == {Scope.READ}


def test_an_unreadable_file_is_answered_as_unavailable(start: Start, path: Path, http: httpx.Client) -> None:
    """While the tokens cannot be read, the answer is 503, to try again, and not that the token is wrong."""
    token = new_token(path, "reader", [Scope.READ])
    asker = Asker(start(tokens=path).url, token, http)
    path.unlink()
    until = time.monotonic() + 10
    while (answer := asker.post("/v1/records/load", {"nonce": NONCE, "user_ids": []})).status_code == 200:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert path.name not in is_problem(answer, "store-unavailable")["detail"]


def test_a_disk_that_hangs_delays_no_answer(
    start: Start, path: Path, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a read of the file hangs, tokens are looked up in what was read; in time they are refused, then let in."""
    token = new_token(path, "asker", [Scope.READ])
    asker, question = Asker(start(tokens=path).url, token, http), {"nonce": NONCE, "user_ids": []}
    answers, hanging = threading.Event(), threading.Event()
    read = module.read_bytes

    def slow(*arguments: Any) -> Any:
        """Read once the disk answers again."""
        hanging.set()
        assert answers.wait(20)
        return read(*arguments)

    assert asker.post("/v1/records/load", question).status_code == 200
    monkeypatch.setattr(module, "read_bytes", slow)
    assert hanging.wait(20)
    try:
        began = time.monotonic()
        assert asker.post("/v1/records/load", question).status_code == 200
        assert time.monotonic() - began < 2
        monkeypatch.setattr(module, "MAX_AGE_SECONDS", 0.0)
        is_problem(asker.post("/v1/records/load", question), "store-unavailable")
    finally:
        monkeypatch.undo()
        answers.set()
    until = time.monotonic() + 20
    while asker.post("/v1/records/load", question).status_code != 200:
        assert time.monotonic() < until
        time.sleep(0.05)


@on_a_loop
async def test_a_service_that_started_slowly_lets_clients_in_at_once(path: Path) -> None:
    """The tokens are fresh from the first request on, however long ago the file was read before."""
    now = 0.0
    token = new_token(path, "reader", [Scope.READ])
    tokens = TokenFile(path, clock=lambda: now)
    now += 60
    async with tokens.reading():
        assert scopes_of(tokens, token) == {Scope.READ}
        now += 60
        with pytest.raises(TokensUnreadable, match="takes long"):
            tokens.find(token)


def test_a_revocation_that_keeps_size_and_times_is_seen(path: Path) -> None:
    """Another content under the same name, size and times is read all the same."""
    now = 0.0
    tokens_made = [new_token(path, name, [Scope.READ]) for name in ("one", "other")]
    tokens = TokenFile(path, clock=lambda: now)
    before = path.stat()
    entries = json.loads(path.read_text())
    entries[0]["sha256"] = entries[0]["sha256"][::-1]
    with path.open("r+b") as file:  # in its place: the inode stays as well
        file.write(msgspec.json.format(msgspec.json.encode(entries), indent=2) + b"\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_ino, path.stat().st_size, path.stat().st_mtime_ns) == (
        before.st_ino, before.st_size, before.st_mtime_ns,
    )  # fmt: skip
    now += 1
    assert [scopes_of(tokens, token) for token in tokens_made] == [None, {Scope.READ}]


@pytest.mark.parametrize("mode", [0o666, 0o620, 0o602, 0o646])
def test_a_file_that_others_may_write_is_refused(path: Path, mode: int) -> None:
    """A file that others may write is refused by the service and by `token new`: they could let themselves in."""
    now = 0.0
    token = new_token(path, "reader", [Scope.READ])
    tokens = TokenFile(path, clock=lambda: now)
    path.chmod(mode)
    for use in (lambda: TokenFile(path), lambda: new_token(path, "reader", [Scope.READ])):
        with pytest.raises(PermissionError, match="chmod go-w") as refused:
            use()
        assert refused.value.filename == str(path)
    now += 1
    with pytest.raises(TokensUnreadable, match=r"tokens\.json"):
        tokens.find(token)
    path.chmod(0o644)  # what is readable is a hash
    now += 1
    assert tokens.find(token)


def others(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have *path* belong to another user than the process's; an ordinary user becomes another instead."""
    if os.geteuid() == 0:
        os.chown(path, 12345, -1, follow_symlinks=False)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)


def test_a_file_of_another_user_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service accepts a file of root or of its user only."""
    new_token(path, "reader", [Scope.READ])
    others(path, monkeypatch)
    with pytest.raises(PermissionError, match="belongs to user"):
        TokenFile(path)


def test_a_link_that_somebody_else_planted_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link of another user is not followed, nor one that lies behind a link; an own one is."""
    old = path.with_name("old.json")
    new_token(old, "reader", [Scope.READ])
    path.symlink_to(old)
    TokenFile(path)
    first = path.with_name("first.json")
    first.symlink_to(path)
    others(path, monkeypatch)
    for link in (path, first):
        with pytest.raises(PermissionError, match="belongs to user"):
            TokenFile(link)
        if os.geteuid() == 0:
            with pytest.raises(PermissionError, match="belongs to user"):
                new_token(link, "reader", [Scope.READ])


def test_a_folder_that_others_may_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that others may write is refused, unless sticky: they could put an old file in the new one's place."""
    folder = tmp_path / "open"
    folder.mkdir()
    path = folder / "tokens.json"
    new_token(path, "reader", [Scope.READ])
    folder.chmod(0o777)
    for use in (lambda: TokenFile(path), lambda: new_token(path, "reader", [Scope.READ])):
        with pytest.raises(PermissionError, match="others may write to this folder") as refused:
            use()
        assert refused.value.filename == str(folder)
    folder.chmod(0o1777)
    TokenFile(path)
    folder.chmod(0o770)
    monkeypatch.setattr("diijam_consent_sdk._file_owners._is_private_group", lambda _: False)
    with pytest.raises(PermissionError, match="chmod go-w"):
        TokenFile(path)
    monkeypatch.setattr("diijam_consent_sdk._file_owners._is_private_group", lambda _: True)
    TokenFile(path)


@pytest.mark.parametrize("planted", ["pipe", "folder", "large"])
def test_what_is_no_file_of_tokens_is_refused_at_once(path: Path, planted: str) -> None:
    """A pipe, which would be waited for, a folder and a file without end are errors that name the file."""
    if planted == "pipe":
        os.mkfifo(path, 0o600)
    elif planted == "folder":
        path.mkdir(0o700)
    else:
        path.touch(0o600)
        os.truncate(path, 2**40)
    for use in (lambda: TokenFile(path), lambda: new_token(path, "reader", [Scope.READ])):
        with pytest.raises((OSError, ValueError)) as refused:
            use()
        assert str(path) in str(refused.value)


def test_a_link_to_nowhere_makes_nothing(path: Path, tmp_path: Path) -> None:
    """`token new` does not make a file where a link says."""
    path.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(FileNotFoundError, match="leads nowhere"):
        new_token(path, "reader", [Scope.READ])
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o440])
def test_a_new_token_keeps_the_mode(path: Path, mode: int) -> None:
    """A user that could read the file before can read it afterwards, and nobody else can."""
    new_token(path, "reader", [Scope.READ])
    path.chmod(mode)
    new_token(path, "other", [Scope.READ])
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_root_locks_no_service_out(path: Path) -> None:
    """A token that root adds leaves the file its owner's; a file that root makes belongs to its folder's owner."""
    os.chown(path.parent, 12345, 23456)
    new_token(path, "reader", [Scope.READ])
    made = path.stat()
    assert (made.st_uid, made.st_gid, stat.S_IMODE(made.st_mode)) == (12345, 23456, 0o600)
    os.chown(path, 12345, 34567)
    new_token(path, "other", [Scope.READ])
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 34567)
    assert len(json.loads(path.read_text())) == 2


def test_a_foreign_lock_is_waited_for_only_so_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that keeps the folder locked makes `token new` fail, with the folder's name, and not wait for ever."""
    monkeypatch.setattr("diijam_consent_sdk.service.token_changes.LOCK_SECONDS", 0.2)
    descriptor = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(BlockingIOError, match="end it, or try again") as late:
        new_token(path, "reader", [Scope.READ])
    assert (late.value.filename, path.exists()) == (str(path.parent), False)
    os.close(descriptor)
    new_token(path, "reader", [Scope.READ])


def test_without_locks_a_token_is_made(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system that has no locks `token new` works."""

    def flock(_: int, __: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    made = [new_token(path, name, [Scope.READ]) for name in ("one", "other")]
    known = TokenFile(path)
    assert all(known.find(token) for token in made)


def test_a_failed_write_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old tokens stay, whole, and nothing lies beside them, if the disk is full."""
    new_token(path, "reader", [Scope.READ])
    before = path.read_bytes()

    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="No space") as failed:
        new_token(path, "other", [Scope.READ])
    assert (failed.value.filename, path.read_bytes(), list(path.parent.iterdir())) == (str(path), before, [path])


def test_why_nobody_is_let_in_is_logged_and_told_to_whoever_asks(path: Path) -> None:
    """`check` raises with the reason as long as the file is broken, and the log names the file once."""
    now = 0.0
    new_token(path, "reader", [Scope.READ])
    tokens = TokenFile(path, clock=lambda: now)
    tokens.check()
    path.write_bytes(b"")
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            now += 1
            with pytest.raises(TokensUnreadable, match="is no tokens file"):
                tokens.check()
    assert [line["event"] for line in lines] == ["service.tokens_unreadable"]
    assert str(path) in lines[0]["cause"]


def test_all_hashes_are_compared(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every entry is compared, in constant time, wherever the right one is."""
    import hmac  # noqa: PLC0415

    made = [new_token(path, f"t-{n}", [Scope.READ]) for n in range(3)]
    compared: list[str] = []
    compare = hmac.compare_digest

    def counting(one: str, other: str) -> bool:
        compared.append(one)
        return compare(one, other)

    tokens = TokenFile(path)
    monkeypatch.setattr(hmac, "compare_digest", counting)
    for token in [*made, "unknown"]:
        tokens.find(token)
    assert len(compared) == 12


def test_an_expired_token_is_refused_with_its_cause(start: Start, path: Path, http: httpx.Client) -> None:
    """From its end on a token is unauthorized, and the text says that it has expired, and not that it is unknown."""
    token = new_token(path, "reader", [Scope.READ])
    asker = Asker(start(tokens=path).url, token, http)
    asker.load()
    path.write_text(path.read_text().replace('"expires_at": null', '"expires_at": "2026-11-24T08:00:00Z"'))
    until = time.monotonic() + 10
    while (answer := asker.post("/v1/records/load", {"nonce": NONCE, "user_ids": []})).status_code == 200:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert "the token has expired" in is_problem(answer, "unauthorized")["detail"]
    assert "invalid_token" in answer.headers["www-authenticate"]


def test_a_name_has_one_token(path: Path) -> None:
    """A second token under a name is not made, so that an entry's writer is one."""
    new_token(path, "mailer", [Scope.ASK])
    before = path.read_bytes()
    with pytest.raises(ValueError, match="mailer has a token already: rotate it"):
        new_token(path, "mailer", [Scope.READ])
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["", "a/b", " mailer", "x" * 65, "a\n", "e\u0301"])
def test_a_malformed_name_is_refused(path: Path, name: str) -> None:
    """A name is an id of at most 64 characters without a slash, in the file as well."""
    with pytest.raises(ValueError, match=r"^(an id|a token's name)"):
        new_token(path, name, [Scope.READ])
    new_token(path, "mailer", [Scope.READ])
    path.write_text(path.read_text().replace('"mailer"', json.dumps(name)))
    with pytest.raises(ValueError, match="is no tokens file"):
        TokenFile(path)


def test_an_end_in_the_past_is_refused(path: Path) -> None:
    """A token whose end is past is not made."""
    with pytest.raises(ValueError, match="this end is past"):
        new_token(path, "mailer", [Scope.ASK], expires_at=datetime.now(UTC))
    assert not path.exists()


def test_a_rotated_name_has_two_tokens_until_the_first_ends(path: Path) -> None:
    """The second token has the first one's scopes and end; the first ends after the time given, or at its own end."""
    end = datetime.now(UTC) + timedelta(days=1)
    old = new_token(path, "mailer", [Scope.ASK, Scope.WRITE_REFUSALS], expires_at=end)
    before = datetime.now(UTC)
    new, ends_at = rotate_token(path, "mailer", timedelta(hours=1))
    first, second = list_tokens(path)
    assert before + timedelta(hours=1) <= ends_at <= datetime.now(UTC) + timedelta(hours=1)
    assert (first.expires_at, second.expires_at) == (ends_at, end)
    assert first.name == second.name == "mailer"
    assert first.scopes == second.scopes == {Scope.ASK, Scope.WRITE_REFUSALS}
    tokens = TokenFile(path)
    assert [tokens.find(one) for one in (old, new)] == [first, second]


def test_the_first_token_never_outlives_its_end(path: Path) -> None:
    """A token that ends sooner than it would be kept keeps its end."""
    end = datetime.now(UTC) + timedelta(minutes=5)
    new_token(path, "mailer", [Scope.ASK], expires_at=end)
    assert rotate_token(path, "mailer", timedelta(hours=1))[1] == end


def test_a_rotation_ends_before_the_next_begins(path: Path) -> None:
    """While two tokens of a name are valid, a third is refused; once the first has ended, its entry goes."""
    new_token(path, "mailer", [Scope.ASK])
    new_token(path, "other", [Scope.ASK])
    second, _ = rotate_token(path, "mailer", timedelta(hours=1))
    with pytest.raises(ValueError, match="mailer is being rotated already: wait until its old token ends"):
        rotate_token(path, "mailer", timedelta(hours=1))
    entries = json.loads(path.read_text())
    next(entry for entry in entries if entry["expires_at"])["expires_at"] = "2026-01-01T00:00:00Z"
    path.write_text(json.dumps(entries))
    third, _ = rotate_token(path, "mailer", timedelta(hours=1))
    tokens = TokenFile(path)
    assert all(tokens.find(token) for token in (second, third))
    assert sorted(entry.name for entry in list_tokens(path)) == ["mailer", "mailer", "other"]


def test_an_expired_token_is_not_rotated(path: Path) -> None:
    """A name whose time is over gets no new token by a rotation."""
    new_token(path, "mailer", [Scope.ASK])
    path.write_text(path.read_text().replace('"expires_at": null', '"expires_at": "2026-01-01T00:00:00Z"'))
    with pytest.raises(ValueError, match="has expired: revoke it, then make a new one"):
        rotate_token(path, "mailer", timedelta(hours=1))


def test_a_name_is_revoked_whole(path: Path) -> None:
    """Revoking removes both tokens of a name and no other; an unknown name is an error that lists the known ones."""
    for name in ("mailer", "other"):
        new_token(path, name, [Scope.ASK])
    rotate_token(path, "mailer", timedelta(hours=1))
    revoke_token(path, "mailer")
    assert [entry.name for entry in list_tokens(path)] == ["other"]
    for change in (lambda: revoke_token(path, "mailer"), lambda: rotate_token(path, "mailer", timedelta(hours=1))):
        with pytest.raises(ValueError, match="no token has this name; names in the file: other"):
            change()


def test_a_file_with_three_tokens_of_a_name_is_refused(path: Path) -> None:
    """A name has two entries at most, whoever wrote the file."""
    new_token(path, "mailer", [Scope.ASK])
    path.write_text(json.dumps(json.loads(path.read_text()) * 3))
    with pytest.raises(ValueError, match="more than two entries have one name"):
        TokenFile(path)


def test_a_rotation_of_two_tokens_without_an_end(tmp_path: Path) -> None:
    """A file that was edited by hand may have them, and the error says what to do."""
    path = tmp_path / "tokens.json"
    new_token(path, "mailer", [Scope.ASK])
    (entry,) = json.loads(path.read_text())
    path.write_text(json.dumps([entry, {**entry, "id": "other", "sha256": "0" * 64}]))
    with pytest.raises(ValueError, match=r"^mailer is being rotated already: revoke it$"):
        rotate_token(path, "mailer", timedelta(days=1))


@pytest.mark.parametrize(("groups", "is_private"), [((7, 8), True), ((7, 7), False)])
def test_a_group_is_private_if_nobody_else_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, groups: tuple[int, int], is_private: bool
) -> None:
    """Those whose primary group it is are not listed with it."""
    users = [SimpleNamespace(pw_name=name, pw_gid=group) for name, group in zip(("an", "binh"), groups, strict=True)]
    monkeypatch.setattr("pwd.getpwuid", lambda _: users[0])
    monkeypatch.setattr("pwd.getpwall", lambda: users)
    monkeypatch.setattr("grp.getgrgid", lambda _: SimpleNamespace(gr_gid=7, gr_name="an", gr_mem=[]))
    assert _is_private_group(tmp_path.stat()) is is_private

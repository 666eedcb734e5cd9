"""The profile page: what its owner published and followers who want to be seen; a partner gets less than the public."""

from __future__ import annotations

import re

import pytest

from diijam_consent_sdk import ConsentClient, Field, Origin, Purpose
from diijam_consent_sdk.events import AccountOpened, Agreed, Hidden, Notified, Published, Restricted
from examples import profile

OWNER, FOLLOWERS = "u-owner", [f"u-f{number}" for number in range(4)]
PAGE = ["full_name", "username", "avatar", "follower_count", "followers", "recently_followed_artists"]


@pytest.fixture
def people(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A list of an owner, four followers and a malformed id."""
    path = tmp_path_factory.mktemp("people") / "people.csv"
    lines = [f"{user_id},Nguyễn Thị Lan,{user_id[2:]}@example.com,Huế\n" for user_id in (OWNER, *FOLLOWERS, "u-\x07")]
    path.write_text("user_id,full_name,email,city\n" + "".join(lines), encoding="utf-8")
    return str(path)


def sections(out: str) -> dict[str, dict[str, str]]:
    """What was printed under each heading, by its first word."""
    found: dict[str, dict[str, str]] = {}
    for line in out.splitlines():
        if not line.startswith(" "):
            found[line.split()[0]] = current = {}
        else:
            name, _, value = line.strip().partition(" ")
            current[name] = value.strip()
    return found


def show(url: str, people: str, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, str]]:
    """The owner's page."""
    assert profile.main(["--url", url, "--users", people, "--user", OWNER, "--lang", "en"]) == 0
    return sections(capsys.readouterr().out)


def test_page_is_what_the_owner_published(url: str, people: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The page has the published fields; the rest is off it, each with its reason."""
    with ConsentClient.from_url(url) as consent:
        consent.record(OWNER, AccountOpened(Origin.GOOGLE), *map(Published, PAGE), Hidden(Field.FULL_NAME))
        consent.record(OWNER, Restricted({Field.AVATAR}))
    said = show(url, people, capsys)
    assert list(said["The"]) == ["username", "follower_count", "followers", "recently_followed_artists"]
    assert {name: words.split(" ", 3)[:3] for name, words in said["Not"].items()} == {
        "full_name": ["You", "have", "not"],
        "avatar": ["You", "restricted", "the"],
        "email": ["This", "is", "never"],
        "address": ["This", "is", "never"],
    }


def test_followers_are_asked_too(url: str, people: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the followers only those appear who published their user name; a malformed id breaks nothing."""
    with ConsentClient.from_url(url) as consent:
        consent.record(OWNER, AccountOpened(), Published(Field.FOLLOWERS))
        consent.record(FOLLOWERS[0], AccountOpened(), Published(Field.USERNAME))
        consent.record(FOLLOWERS[1], AccountOpened(), Published(Field.USERNAME), Hidden(Field.USERNAME))
        consent.record(FOLLOWERS[2], AccountOpened(), Published(Field.AVATAR))
    assert show(url, people, capsys)["The"] == {"followers": "@f0"}


def test_public_is_not_shared(url: str, people: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What everybody may see goes to the partner only after notice and agreement."""
    told = Notified("n-1", profile.PARTNER, profile.FEED, Purpose.MARKETING)
    with ConsentClient.from_url(url) as consent:
        consent.record(OWNER, AccountOpened(), *map(Published, PAGE), told)
        assert list(show(url, people, capsys)["Feed"]) == ["not"]
        consent.record(OWNER, Agreed("n-1"))
        assert list(show(url, people, capsys)["Feed"]) == ["sent:"]


def test_default_page(capsys: pytest.CaptureFixture[str], url: str) -> None:
    """The default page is of a user in the committed audience; users without an account in this ledger are hidden."""
    assert profile.main(["--url", url]) == 0
    assert not sections(capsys.readouterr().out)["The"]


@pytest.mark.parametrize("user_id", ["nobody", "u-\x07"])
def test_no_such_page(url: str, people: str, capsys: pytest.CaptureFixture[str], user_id: str) -> None:
    """An id that is not in the list, or is malformed, ends the program with 2 and is not repeated."""
    with pytest.raises(SystemExit) as stopped:
        profile.main(["--url", url, "--users", people, "--user", user_id])
    assert stopped.value.code == 2
    assert not re.search("nobody|\x07", capsys.readouterr().err)


@pytest.mark.usefixtures("unreachable")
def test_unreachable_store(people: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With no store to be asked the page is empty, and the exit code says that this was nobody's choice."""
    assert profile.main(["--url", "memory:", "--users", people, "--user", OWNER]) == 1
    assert not sections(capsys.readouterr().out)["The"]

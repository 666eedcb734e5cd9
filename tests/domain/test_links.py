"""Unsubscribe links: they show no id, only their own keys open them, and any changed byte is refused."""

from __future__ import annotations

import string
from base64 import urlsafe_b64decode
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from diijam_consent_sdk.links import MAX_TOKEN_CHARACTERS, UnsubscribeLink, UnsubscribeLinks
from diijam_consent_sdk.vocabulary import Channel

KEY, OTHER = Fernet.generate_key(), Fernet.generate_key()
BASE = "https://diijam.vn/unsubscribe"
MAIL = frozenset({Channel.EMAIL})
links = UnsubscribeLinks(KEY, BASE)


def token(url: str) -> str:
    """The last part of a link."""
    base, _, last = url.rpartition("/")
    assert base == BASE
    return last


@given(st.text(min_size=1, max_size=256), st.frozensets(st.sampled_from(Channel), min_size=1))
def test_a_link_opens_as_it_was_made(user_id: str, channels: frozenset[Channel]) -> None:
    """Whatever id a user has, the link names the user and the channels, to its own service alone."""
    try:
        url = links.url(user_id, channels)
    except ValueError:  # no id at all
        return
    assert links.open(token(url)) == UnsubscribeLink(user_id, channels)
    assert len(token(url)) < MAX_TOKEN_CHARACTERS
    assert set(token(url)) <= set(string.ascii_letters + string.digits + "-_")


def test_the_largest_id_has_a_link() -> None:
    """An id of as many bytes as an id may have fits."""
    user_id = "\U0001f3b5" * 256
    assert links.open(token(links.url(user_id, Channel))).user_id == user_id


def test_no_id_is_readable() -> None:
    """Neither the URL nor its decoded bytes have the id, and two links of one user differ."""
    one, other = (token(links.url("u-42424242", MAIL)) for _ in range(2))
    assert one != other
    assert b"u-4242" not in urlsafe_b64decode(one + "=" * (-len(one) % 4))
    assert "u-4242" not in repr(links.open(one))


def test_rotation() -> None:
    """A link of an old key opens while the key is kept behind a new one, and no more once it is removed."""
    old = token(links.url("u-1", MAIL))
    rotated = UnsubscribeLinks([OTHER, KEY], BASE)
    assert rotated.open(old) == links.open(old)
    assert UnsubscribeLinks([OTHER], BASE).open(token(rotated.url("u-1", MAIL))).user_id == "u-1"
    with pytest.raises(ValueError, match="its key was removed"):
        UnsubscribeLinks([OTHER], BASE).open(old)


def test_any_changed_byte_is_refused() -> None:
    """Each character counts, the last one too, and nothing may be added or left out."""
    made = token(links.url("u-1", MAIL))
    changed = [
        made[:place] + other + made[place + 1 :]
        for place in range(len(made))
        for other in string.ascii_letters + string.digits + "-_!=+/ "
        if made[place] != other
    ]
    for one in [*changed, made + "A", made + "!", made + "=", made[:-1], made * 2, "", "é" + made, "A" * 1_000_000]:
        with pytest.raises(ValueError, match="no unsubscribe link"):
            links.open(one)


@pytest.mark.parametrize(
    "said", [b"", b"null", b"[]", b'["u-1"]', b'["u-1",[]]', b'["u-1",["pigeon"]]', b'[1,["email"]]', b'["",["email"]]']
)
def test_another_content_is_refused(said: bytes) -> None:
    """What the key sealed for another use is no link."""
    with pytest.raises(ValueError, match="no unsubscribe link"):
        links.open(Fernet(KEY).encrypt(said).decode().rstrip("="))


def test_headers() -> None:
    """The headers are those of RFC 2369 and RFC 8058."""
    headers = links.headers("u-1", [Channel.EMAIL, Channel.MESSAGE])
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert headers.keys() == {"List-Unsubscribe", "List-Unsubscribe-Post"}
    url = headers["List-Unsubscribe"]
    assert (url[0], url[-1]) == ("<", ">")
    assert links.open(token(url[1:-1])).channels == {Channel.EMAIL, Channel.MESSAGE}


def test_the_headers_survive_a_mail() -> None:
    """A mail of Python's with the policy that the page names has the link in one piece on one line."""
    mail = EmailMessage(policy=SMTP.clone(max_line_length=998))
    headers = links.headers("u-1", MAIL)
    for name, value in headers.items():
        mail[name] = value
    assert f"List-Unsubscribe: {headers['List-Unsubscribe']}\r\n".encode() in mail.as_bytes()


@pytest.mark.parametrize(
    "keys",
    [[], "", "short", b"\xff" * 44, [KEY, "short"], [None]],
    ids=["none", "empty", "short", "no ASCII", "one of two", "no text"],
)
def test_keys_that_will_not_do(keys: list[str | bytes]) -> None:
    """No key, or one that is malformed, is refused with how to make one; the error shows no key."""
    with pytest.raises(ValueError, match="generate_key") as caught:
        UnsubscribeLinks(keys, BASE)
    assert "short" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    [
        "http://diijam.vn/u", "https://", "https:///u", "diijam.vn", "", "https://me@diijam.vn", "https://diijam.vn/u?a",
        "https://diijam.vn/#a", "https://diijam.vn/\n", "https://diijam.vn/a b", "https://diijam.vn:99999", None,
        "https://diijam.vn/>", "https://đi.vn/u", "https://diijam.vn:0/u",
    ],
    ids=repr,
)  # fmt: skip
def test_a_base_url_that_will_not_do(url: str) -> None:
    """Only an https URL that a token can follow within `<` and `>` is taken."""
    with pytest.raises(ValueError, match="https"):
        UnsubscribeLinks(KEY, url)


@pytest.mark.parametrize(
    ("user_id", "channels", "error"),
    [
        ("", MAIL, ValueError),
        ("u-1", [], ValueError),
        ("u-1", ["pigeon"], ValueError),
        ("u-1", "email", TypeError),
        (1, MAIL, TypeError),
    ],
)
def test_links_that_cannot_be_made(user_id: str, channels: frozenset[Channel], error: type[Exception]) -> None:
    """A malformed id, no channel and an unknown one are the caller's mistakes."""
    with pytest.raises(error):
        links.url(user_id, channels)


def test_no_key_is_shown() -> None:
    """The object's own text has the URL alone, without the slash at its end."""
    assert repr(UnsubscribeLinks(KEY, BASE + "/")) == f"<UnsubscribeLinks {BASE}>"

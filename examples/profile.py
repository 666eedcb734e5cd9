"""
A public profile page: what its owner chose to show, those followers who chose to be seen, and a partner's feed.

    python examples/profile.py --url sqlite:///consents.db [--user u-00905] [--users FILE] [--lang en]

Exit code 0: the page was made. 1: the store could not answer; the page is empty rather than wrong.
2: it could not start.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from diijam_consent_sdk import ConsentClient, Field, Purpose
from diijam_consent_sdk.decisions import UNANSWERED
from diijam_consent_sdk.errors import ConsentError

USERS = Path(__file__).parent / "data" / "audience.csv"
PARTNER, FEED = "tre-xanh-records", {Field.USERNAME, Field.RECENTLY_FOLLOWED_ARTISTS}
ARTISTS = ["Mưa Đầu Hạ", "Ba Chiếc Lá", "Phố Sau Cơn Mưa"]  # no real bands

Person = Mapping[str, str]


def username(person: Person) -> str:
    """The name this person goes by on the platform."""
    return "@" + person["email"].partition("@")[0]


def values_of(person: Person, followers: Sequence[Person]) -> dict[str, object]:
    """Stand in for your profile service: everything it has about a person, private fields too."""
    return {
        Field.FULL_NAME: person["full_name"],
        Field.USERNAME: username(person),
        Field.AVATAR: username(person) + ".webp",
        Field.FOLLOWER_COUNT: len(followers),
        Field.FOLLOWERS: followers,
        Field.RECENTLY_FOLLOWED_ARTISTS: ARTISTS,
        Field.EMAIL: person["email"],
        Field.ADDRESS: person["city"],
    }


def visible(consent: ConsentClient, followers: Iterable[Person]) -> list[str]:
    """The followers who made their user name public: they are other people, so each is asked about."""
    names = []
    for follower in followers:
        try:
            may_show = consent.is_public(follower["user_id"], Field.USERNAME)
        except ValueError:  # one malformed id must not break the page
            continue
        if may_show:
            names.append(username(follower))
    return names


def main(argv: Sequence[str] | None = None) -> int:
    """Print the page; see the exit codes above."""
    parser = argparse.ArgumentParser(description="A public profile page, as its owner wants it.")
    parser.add_argument("--url", help="default: DIIJAM_CONSENT_URL")
    parser.add_argument("--user", default="u-00905", help="whose page")
    parser.add_argument("--users", type=Path, default=USERS, help="a CSV file: user_id,full_name,email,city")
    parser.add_argument("--lang", choices=("vi", "en"), default="vi", help="of the messages")
    given = parser.parse_args(argv)
    try:
        with given.users.open(encoding="utf-8-sig", newline="") as file:
            people = {row["user_id"]: row for row in csv.DictReader(file)}
        token = os.environ.get("DIIJAM_CONSENT_TOKEN")
        consent = ConsentClient.from_url(given.url, token=token) if given.url else ConsentClient.from_env()
    except KeyError:
        parser.error("the list has no column user_id")
    except (OSError, ValueError, ConsentError) as error:
        parser.error(str(error))

    followers = [person for user_id, person in people.items() if user_id != given.user][:12]  # your social graph
    with consent:
        try:
            user, owner = consent.user(given.user), people[given.user]
        except (ValueError, KeyError):
            parser.error("there is no such user")  # a malformed id too: a web page would say 404
        values = values_of(owner, followers)
        page = user.public_view(values)
        if Field.FOLLOWERS in page:
            page[Field.FOLLOWERS] = visible(consent, followers)

        print("The page")
        for name, value in page.items():
            print(f"  {name:<26}{', '.join(value) if isinstance(value, list) else value}")
        print("Not on it")
        for name in (name for name in values if name not in page):
            print(f"  {name:<26}{user.is_public(name).message(given.lang)}")
        # Public is not shared: what everybody may see still goes to no partner without notice and agreement.
        feed = user.can_share(PARTNER, FEED, Purpose.MARKETING)
        print(f"Feed to {PARTNER}\n  {'sent' if feed else 'not sent'}: {feed.message(given.lang)}")
    return 1 if feed.reason in UNANSWERED else 0


if __name__ == "__main__":
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads on, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    raise SystemExit(status)

"""
Take the pictures in docs/images again: `apt-get install pngquant poppler-utils fonts-noto-core`, `make test-browser`,
then `.venv/bin/python -m tests.examples.browser.screenshots`, for all or for those NAMED on the command line:
`privacy-center`, `support-center`, `customer-file`, `report`, `unsubscribe`. Most show the dates of the day.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from playwright.sync_api import Browser, sync_playwright

from diijam_consent_sdk import Channel, ConsentClient
from diijam_consent_sdk.cli.commands.report.reading import read_report
from diijam_consent_sdk.integrations.unsubscribe_page import Unsubscribing
from diijam_consent_sdk.links import UnsubscribeLinks
from diijam_consent_sdk.stores import MemoryStore
from diijam_consent_sdk.vocabulary import LANGUAGES, Language
from examples import audit, report
from examples.privacy_center.customers import fill
from examples.support_center.story import fill as tell

from .conftest import CHROMIUM, QUIET, WHO, Center, running, support_center

IMAGES = Path(__file__).parents[3] / "docs" / "images"
WIDE, PHONE = {"width": 1360, "height": 940}, {"width": 360, "height": 740}


def take(
    browser: Browser, center: Center, name: str, page: str, *, pressed: str = "", who: str = "picky", **options: Any
) -> None:
    """One picture, perhaps after one press."""
    context = browser.new_context(**{"viewport": WIDE, "reduced_motion": "reduce", **options})
    context.add_cookies([{"name": "who", "value": str(WHO[who][0]), "url": center.url}])
    shown = context.new_page()
    shown.goto(f"{center.url}/{page}")
    if pressed:
        shown.click(pressed)
        shown.wait_for_selector("#note:not(:empty)")
    picture = IMAGES / f"privacy-center-{name}.png"
    shown.screenshot(path=picture)
    shrink(picture)
    context.close()


def shrink(picture: Path) -> None:
    """Make a picture's file small."""
    subprocess.run(["pngquant", "--strip", "--force", "--output", picture, "128", picture], check=True)


def take_support(browser: Browser, folder: Path) -> None:
    """The support centre: the work list, a customer with a form open, and the erasures, wide and on a phone."""
    path = folder / "support.db"
    tell(path)
    with running(path, support_center) as center:
        for language, viewport, ratio in (("vi", WIDE, 1), ("en", PHONE, 2)):
            context = browser.new_context(viewport=viewport, device_scale_factor=ratio, reduced_motion="reduce")  # type: ignore[arg-type,unused-ignore]
            context.add_cookies([
                {"name": "staff", "value": "0", "url": center.url},
                {"name": "language", "value": language, "url": center.url},
            ])  # fmt: skip
            shown = context.new_page()
            shown.goto(f"{center.url}/requests")
            shown.screenshot(path=IMAGES / f"support-center-requests-{language}.png")
            shown.fill("#customer", "u-00077")
            shown.click("#find-open")
            shown.click("#request-1-resolve-open")
            shown.screenshot(path=IMAGES / f"support-center-customer-{language}.png", full_page=True)
            shown.goto(f"{center.url}/erasures")
            shown.screenshot(path=IMAGES / f"support-center-erasures-{language}.png")
            context.close()
    for picture in IMAGES.glob("support-center-*.png"):
        shrink(picture)


def take_document(browser: Browser, folder: Path, name: str, pages: dict[Language, str], printed_page: int) -> None:
    """A document on a screen in Vietnamese, and one page of it on paper in English."""
    shown = browser.new_page(viewport={"width": 1020, "height": 1260})
    shown.set_content(pages["vi"])
    picture, printed = IMAGES / f"{name}-vi.png", IMAGES / f"{name}-en"
    shown.screenshot(path=picture)
    shown.set_content(pages["en"])
    shown.pdf(path=folder / "file.pdf", prefer_css_page_size=True)
    page = ["-f", str(printed_page), "-l", str(printed_page)]
    subprocess.run(["pdftoppm", "-png", "-r", "110", *page, "-singlefile", folder / "file.pdf", printed], check=True)
    for png in (picture, printed.with_suffix(".png")):
        shrink(png)


def take_file(browser: Browser, folder: Path) -> None:
    """A customer's file; on paper the page with what was said."""
    clock = audit.StoryClock()
    with closing(MemoryStore(clock=clock)) as store, closing(ConsentClient(store, follow=False)) as consent:
        audit.tell(store, clock)
        pages = {language: consent.customer_file(audit.CUSTOMER, language).to_html() for language in LANGUAGES}
    take_document(browser, folder, "customer-file", pages, printed_page=3)


def take_report(browser: Browser, folder: Path) -> None:
    """A report; on paper the page with what may be done now."""
    clock = report.StoryClock(datetime.now(UTC))
    with closing(MemoryStore(clock=clock)) as store:
        report.tell(store, clock)
        found = read_report(store)
    take_document(browser, folder, "report", {language: found.to_html(language) for language in LANGUAGES}, 2)


def take_link(browser: Browser, _: Path) -> None:
    """The page of an unsubscribe link, on a phone in Vietnamese and wide in English."""
    links = UnsubscribeLinks(Fernet.generate_key(), "https://diijam.vn/u")
    token = links.url("u-1", [Channel.EMAIL]).rpartition("/")[2]
    sizes: dict[str, Any] = {"vi": {"width": 360, "height": 400}, "en": {"width": 900, "height": 420}}
    for language, viewport in sizes.items():
        asked = Unsubscribing(links, token, language, None)
        shown = browser.new_page(viewport=viewport, device_scale_factor=2)
        shown.set_content(asked.ask(links.open(token)).body.decode())
        picture = IMAGES / f"unsubscribe-{language}.png"
        shown.screenshot(path=picture)
        shrink(picture)


def take_privacy(browser: Browser, folder: Path) -> None:
    """The privacy centre."""
    path = folder / "consents.db"
    fill(path)
    with running(path) as center:
        take(browser, center, "sign-in", "")
        take(browser, center, "choices", "choices", pressed="#marketing-notification")
        take(browser, center, "night", "sharing", color_scheme="dark")
        take(browser, center, "timeline", "timeline")
        take(browser, center, "phone", "choices", viewport=PHONE, device_scale_factor=2)
        take(browser, center, "requests", "requests", who="leaving")


TAKES = {
    "privacy-center": take_privacy,
    "support-center": take_support,
    "customer-file": take_file,
    "report": take_report,
    "unsubscribe": take_link,
}


def main(names: Sequence[str]) -> None:
    """Take those of these names, or all."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        for name in names or TAKES:
            TAKES[name](browser, Path(folder))
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])

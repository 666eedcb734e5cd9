"""
Take the pictures in docs/images again: `apt-get install pngquant`, `make test-browser`, then
`.venv/bin/python -m tests.examples.browser.screenshots`. The dates in them are those of the day.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from examples.privacy_center.customers import fill

from .conftest import CHROMIUM, QUIET, WHO, Center, running

IMAGES = Path(__file__).parents[3] / "docs" / "images"
WIDE, PHONE = {"width": 1360, "height": 940}, {"width": 360, "height": 740}


def take(browser: Browser, center: Center, name: str, page: str, pressed: str = "", **options: Any) -> None:
    """One picture, perhaps after one press."""
    context = browser.new_context(**{"viewport": WIDE, "reduced_motion": "reduce", **options})
    context.add_cookies([{"name": "who", "value": str(WHO["picky"][0]), "url": center.url}])
    shown = context.new_page()
    shown.goto(f"{center.url}/{page}")
    if pressed:
        shown.click(pressed)
        shown.wait_for_selector("#note:not(:empty)")
    picture = IMAGES / f"privacy-center-{name}.png"
    shown.screenshot(path=picture)
    subprocess.run(["pngquant", "--strip", "--force", "--output", picture, "128", picture], check=True)
    context.close()


def main() -> None:
    """Take them all."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "consents.db"
        fill(path)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        with running(path) as center:
            take(browser, center, "sign-in", "")
            take(browser, center, "choices", "choices", "#marketing-notification")
            take(browser, center, "night", "sharing", color_scheme="dark")
            take(browser, center, "phone", "choices", viewport=PHONE, device_scale_factor=2)
        browser.close()


if __name__ == "__main__":
    main()

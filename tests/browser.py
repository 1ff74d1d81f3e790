"""Pages in headless Chromium, for tests of what a person sees. Skipped where Chromium is not installed."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webdriver import WebDriver

WIDTHS = (390, 1280, 1920)  # pixels: a phone, a laptop, a desk


@contextmanager
def browser() -> Iterator[WebDriver]:
    """Debian's chromium with its driver, without a window. What pages log is kept for `complaints`."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("needs a browser: install the packages chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield found
    finally:
        found.quit()


def show(page: WebDriver, address: str, *, width: int, dark: bool = False) -> None:
    """Open a page at a width in pixels, in light or dark colours."""
    height = 844 if width < 600 else 900
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    page.get(address)


def photograph(page: WebDriver, path: Path) -> None:
    """The whole page, not only what is in view, as a PNG."""
    image = page.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
    path.write_bytes(base64.b64decode(image["data"]))


def overflow(page: WebDriver) -> int:
    """By how many pixels the page is wider than its window, which makes people scroll sideways."""
    return page.execute_script(
        "const root = document.documentElement; return root.scrollWidth - root.clientWidth"
    )


def complaints(page: WebDriver) -> list[str]:
    """Errors that the page has logged since the last call."""
    return [entry["message"] for entry in page.get_log("browser") if entry["level"] == "SEVERE"]

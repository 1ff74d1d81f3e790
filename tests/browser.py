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
# The least contrast of any shown text with what lies behind it (WCAG 2.1), with the text.
CONTRAST = """
const numbers = colour => (colour.match(/[\\d.]+/g) || []).map(Number);
const light = colour => {
  const [r, g, b] = numbers(colour).slice(0, 3)
    .map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = element => {
  for (let at = element; at; at = at.parentElement) {
    const [r, g, b, a = 1] = numbers(getComputedStyle(at).backgroundColor);
    if (r !== undefined && a > 0) return getComputedStyle(at).backgroundColor;
  }
};
let worst = [99, ""];
for (const element of document.querySelectorAll("h1, h2, h3, p, dt, dd, th, td, td strong, li, summary, "
    + "figcaption, footer, svg text, .conclusion strong")) {
  if (!element.textContent.trim() || !element.getClientRects().length) continue;
  const style = getComputedStyle(element), colour = element.tagName === "text" ? style.fill : style.color;
  const [a, b] = [light(colour), light(ground(element))].sort((x, y) => y - x);
  const contrast = (a + 0.05) / (b + 0.05);
  if (contrast < worst[0]) worst = [contrast, element.textContent];
}
return worst;
"""
# The size of the smallest text of any drawing, in pixels of the screen.
SMALLEST = """
return Math.min(...[...document.querySelectorAll("svg text")].filter(text => text.getClientRects().length)
  .map(text => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a));
"""
# How many elements that a selector finds are shown.
SHOWN = """
return [...document.querySelectorAll(arguments[0])].filter(found => found.getClientRects().length).length;
"""
# By how many pixels the texts of each drawing leave the box of their figure.
REACH = """
return [...document.querySelectorAll("svg")].filter(svg => svg.getClientRects().length).map(svg => {
  const box = svg.closest("figure").getBoundingClientRect();
  const texts = [...svg.querySelectorAll("text")].map(text => text.getBoundingClientRect());
  return Math.max(...texts.map(text => Math.max(text.right - box.right, box.left - text.left)));
});
"""


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

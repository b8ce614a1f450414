"""A headless Chromium that shows files and reports what goes wrong in them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

PHONE = (390, 844)
DESK = (1280, 800)
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREENSHOTS = "DRAGOMAN_SCREENSHOTS"
"""Environment variable that names a folder to keep the tests' screenshots in."""


class Browser:
    """A browser with a file open.

    Args:
        driver: Selenium's driver.
        folder: Where screenshots go.
    """

    def __init__(self, driver: webdriver.Chrome, folder: Path) -> None:
        self.driver = driver
        self.folder = folder

    def open(self, file: Path) -> None:
        self.driver.get(file.resolve().as_uri())

    def screen(self, size: tuple[int, int], theme: Literal["light", "dark"]) -> None:
        """Become a screen of this size on a system with this theme."""
        width, height = size
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE},
        )
        scheme = {"name": "prefers-color-scheme", "value": theme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def shoot(self, name: str) -> Path:
        """Take a screenshot of what is on the screen."""
        file = self.folder / f"{name}.png"
        assert self.driver.save_screenshot(str(file))
        return file

    def text(self, selector: str) -> str:
        return self.driver.find_element(By.CSS_SELECTOR, selector).text

    def texts(self, selector: str) -> list[str]:
        return [result.text for result in self.driver.find_elements(By.CSS_SELECTOR, selector)]

    def click(self, selector: str) -> None:
        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def press(self, *keys: str) -> None:
        self.driver.find_element(By.TAG_NAME, "body").send_keys(*keys)

    def run(self, script: str) -> object:
        return self.driver.execute_script(script)

    def colour(self, selector: str, of: str = "background-color") -> str:
        return self.driver.find_element(By.CSS_SELECTOR, selector).value_of_css_property(of)

    def complaints(self) -> list[str]:
        """Return what the console has said since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the screen."""
        return int(
            self.run(
                "const root = document.documentElement; return root.scrollWidth - root.clientWidth"
            )
        )


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Start a browser with a profile of its own."""
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    missing = [name for name, path in programs.items() if path is None]
    assert not missing, f"{missing} not found: apt-get install chromium chromium-driver"
    options = Options()
    options.binary_location = programs["chromium"]
    for argument in (*ARGUMENTS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    kept = Path(os.environ.get(SCREENSHOTS, folder / "screenshots"))
    kept.mkdir(parents=True, exist_ok=True)
    driver = webdriver.Chrome(options, Service(programs["chromedriver"]))
    try:
        yield Browser(driver, kept)
    finally:
        driver.quit()


__all__ = ["DESK", "PHONE", "Browser", "Keys", "browser"]

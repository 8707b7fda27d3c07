"""Headless Chromium for tests of pages; skipped with the reason where a part is missing."""

import shutil

import pytest


def open_browser(width=1200, height=1000):
    """A selenium driver; quit it afterwards."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="no selenium: pip install it")
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program}: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", f"--window-size={width},{height}"):
        options.add_argument(argument)
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    return webdriver.Chrome(options=options, service=service)

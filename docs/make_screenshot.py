# noqa: INP001 - a script beside pages, no package
"""Take the README's picture: the first screen of a run's report.html, which holds no photograph.

Run as ``python docs/make_screenshot.py runs/yolov8n-int8``. It needs Chromium and playwright (requirements/dev.txt).
"""

import argparse
import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import FloatRect, sync_playwright

OUTPUT = Path(__file__).with_name("report.png")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDE = 1100
COLOURS = 64
"""As many as flat colours and the edges of letters need."""


def screenshot(page: Path, browser: str) -> bytes:
    """Give the part above the sections as PNG: verdict, checks and what to do."""
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        opened = chromium.new_page(
            viewport={"width": WIDE, "height": 800}, color_scheme="light", device_scale_factor=1.5
        )
        opened.goto(page.resolve().as_uri())
        part = opened.locator("header.top")
        if part.locator("img").count():
            raise SystemExit("this part of the page holds pictures, which have licences of their own")
        box = part.bounding_box() or {}
        clip = FloatRect(x=0, y=0, width=WIDE, height=box["y"] + box["height"])
        taken = opened.screenshot(clip=clip)
        chromium.close()
    return taken


def main() -> None:
    """Write docs/report.png."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("run", type=Path, help="folder of a run")
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT)
    asked = parser.parse_args()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        parser.error(f"none of {', '.join(BROWSERS)} is installed")
    with Image.open(io.BytesIO(screenshot(asked.run / "report.html", browser))) as taken:
        taken.convert("RGB").quantize(COLOURS).save(asked.output, optimize=True)


if __name__ == "__main__":
    main()

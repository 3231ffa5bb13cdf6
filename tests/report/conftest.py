"""What the tests of the HTML report share: a rulebook of their own, and a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wsaudit.report import rulebook

# The last five only silence traffic that a browser makes of its own accord.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def catalogue(monkeypatch: pytest.MonkeyPatch) -> rulebook.Rulebook:
    """One rule with an explanation, whatever the real catalogue says today."""
    info = rulebook.RuleInfo(
        id="FR-01",
        name="unmasked-client-frame",
        level="MUST",
        severity="error",
        at_fault="client",
        reference="RFC 6455 §5.1",
        title="A client's frame is not masked",
        says="A client masks every frame <b>it</b> sends.",
        why="Proxies.",
        do="Update the client's library.",
    )
    book = rulebook.Rulebook([info])
    monkeypatch.setattr(rulebook, "rulebook", lambda: book)
    return book


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, headless, for one module: while it runs, an event loop runs too, and nobody else may start one. Without one the
    tests are skipped, but not in CI, where it has to be there."""
    chromium = (
        os.environ.get("CHROMIUM")
        or shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if chromium is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI needs a Chromium: apt-get install chromium, or set CHROMIUM")
        pytest.skip("no Chromium on this machine: apt-get install chromium, or set CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core: too big to keep here, one `npm install --no-save axe-core` away."""
    path = Path(os.environ.get("AXE_CORE") or Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js")
    if not path.exists():
        if os.environ.get("CI") == "true":
            pytest.fail("CI needs axe-core: npm install --no-save axe-core, or set AXE_CORE to its axe.min.js")
        pytest.skip("no axe-core on this machine: npm install --no-save axe-core, or set AXE_CORE to its axe.min.js")
    return path.read_text(encoding="utf-8")

"""What axe-core finds wrong with a page, or with a part of it: rules of WCAG 2.2, levels A and AA."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page

AXE = Path(__file__).with_name("node_modules") / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def violations(page: Page, within: str = "html") -> list[str]:
    """Each as "rule: the element"; without npm's axe-core the test is skipped, in CI it fails."""
    if not AXE.exists():
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up("needs axe-core: npm --prefix tests install --no-package-lock")
    page.evaluate(AXE.read_text("utf8") + "; 0")
    # Every rule looks at every element; of what passed only the first of each rule is described.
    options = "{ runOnly: { type: 'tag', values }, preload: false, resultTypes: ['violations'] }"
    run = f"([within, values]) => axe.run(within, {options})"
    found = page.evaluate(run, [within, TAGS])["violations"]
    return [f"{rule['id']}: {node['html'][:160]}" for rule in found for node in rule["nodes"]]

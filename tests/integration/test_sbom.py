"""What is inside the image, told as CycloneDX by the command that the image's build runs."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_sbom_names_every_locked_package() -> None:
    """`make sbom` lists each package of the lock in its version; the Dockerfile says the same."""
    made = subprocess.run(["make", "sbom"], cwd=ROOT, capture_output=True, text=True, check=False)
    if made.returncode and "CI" not in os.environ:
        pytest.skip(f"the SBOM's maker cannot be installed here: {made.stderr[-200:]}")
    assert made.returncode == 0, made.stderr
    told = json.loads((ROOT / "dist/sbom.cdx.json").read_text())
    assert told["bomFormat"] == "CycloneDX"
    lock = (ROOT / "requirements.txt").read_text()
    locked = set(re.findall(r"^([a-z0-9-]+)(?:\[[^\]]*\])?==([^\s;]+)", lock, re.M))
    assert len(locked) > 50
    assert {(part["name"], part["version"]) for part in told["components"]} == locked
    commands = [
        re.search(r"cyclonedx-py|\$\(SBOM\)", line)
        and line.split("requirements ", 1)[1].split(" -o")[0]
        for name in ("Dockerfile", "Makefile")
        for line in (ROOT / name).read_text().splitlines()
        if "requirements requirements.txt" in line
    ]
    assert commands == ["requirements.txt --output-reproducible"] * 2

"""NOTICE names everybody whose clips the shipped weights and recordings are made from."""

import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def test_notice_is_what_its_script_makes(shared: Path, tmp_path: Path) -> None:
    text = (ROOT / "NOTICE").read_text(encoding="utf-8")
    command = text[text.index("scripts/notice --data FOLDER"):]
    arguments = re.findall(r"--(?:clip|recipe) \S+", command)
    made = tmp_path / "NOTICE"
    subprocess.run(
        [sys.executable, ROOT / "scripts" / "notice", "--data", shared / "audio", "--out", made,
         *(word for argument in arguments for word in argument.split())],
        check=True,
    )
    assert made.read_text(encoding="utf-8") == text

"""The runtime must not phone home: its telemetry package stays out of the process."""

import os
import subprocess
import sys
from pathlib import Path


def test_no_telemetry_is_loaded_and_nothing_is_written_at_home(tmp_path: Path) -> None:
    load = "import sys; from glatd.engines.load import load_engine; load_engine();"
    code = f"{load} print(sys.modules.get('openvino_telemetry'))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=True,
    )
    assert done.stdout.strip() == "None" and done.stderr == ""
    assert list(tmp_path.iterdir()) == []

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import logging
before = (logging.root.level, list(logging.root.handlers))
import vae_anomaly.vae.training, vae_anomaly.vae.model
import vae_anomaly.vae.latents, vae_anomaly.vae.diagnostics
assert (logging.root.level, list(logging.root.handlers)) == before
for name, logger in logging.root.manager.loggerDict.items():
    if name.startswith("vae_anomaly"):
        assert not getattr(logger, "handlers", []), name
        assert getattr(logger, "level", 0) == 0, name
"""


def test_importing_prints_nothing_and_configures_no_logger():
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")

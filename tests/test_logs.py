"""Lines on stderr for programs: each an object of JSON, whoever wrote it."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys

from vae_anomaly.logs import JsonLines, log_to_stderr


def test_whatever_is_written_becomes_an_object_a_line():
    stream = io.StringIO()
    with JsonLines(stream) as lines:
        handler = log_to_stderr(as_json=True, stream=lines)
        logging.getLogger("vae_anomaly.here").warning("of a logger")
        logging.getLogger("vae_anomaly").removeHandler(handler)
        lines.write("of a library,\nin two lines\n")
        lines.write("in ")
        lines.write("pieces\nand without an end")
    said = [json.loads(line)["message"] for line in stream.getvalue().splitlines()]
    assert said == ["of a logger", "of a library,\nin two lines", "in pieces", "and without an end"]


def test_what_c_and_other_processes_print_becomes_an_object_a_line_too():
    """As libtiff does of a damaged image: past Python, to the descriptor itself."""
    code = """
import os, subprocess, sys
from vae_anomaly.logs import json_lines
with json_lines(True):
    print("of Python", file=sys.stderr)
    os.write(2, b"of C\\n")
    subprocess.run([sys.executable, "-c", "import os; os.write(2, b'of a process')"], check=True)
print("after", file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *lines, last = done.stderr.splitlines()
    said = {json.loads(line)["message"] for line in lines}
    assert (said, last) == ({"of Python", "of C", "of a process"}, "after")

"""Lines on stderr for programs: each an object of JSON, whoever wrote it."""

from __future__ import annotations

import io
import json
import logging

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

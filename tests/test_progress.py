import io
import sys

import pytest

from kvoice import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_what_takes_no_time_writes_nothing(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream())
    assert list(progress.bar(range(3), desc="judge", unit="clip")) == [0, 1, 2]
    assert sys.stderr.getvalue() == ""


def test_a_log_file_gets_a_line_after_each_minute(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress.bar(total=100, desc="judge", unit="clip") as bar:
        bar._time = lambda: now[0]
        bar.start_t = bar.last_print_t = now[0]
        for _ in range(100):
            now[0] += 2  # s
            bar.update()
    lines = sys.stderr.getvalue().splitlines()
    assert len(lines) == 3 and "\r" not in sys.stderr.getvalue()
    assert lines[1].startswith("judge: 60 of 100 clip, 02:00, ")

"""The command line refuses what it does not know, and says what there is."""

from __future__ import annotations

import pytest

from bench.__main__ import options
from bench.loads import LOADS
from bench.proxies import PROXIES
from bench.quick import SMALL


def test_everything_is_run_by_default():
    chosen = options([])
    assert chosen.proxies == list(PROXIES)
    assert chosen.loads == list(LOADS)
    assert chosen.rounds >= 5


def test_quick_is_small_and_can_be_overridden():
    chosen = options([*SMALL, "--loads", "websocket"])
    assert chosen.proxies == ["lb", "nginx", "haproxy"]
    assert chosen.loads == ["websocket"]


@pytest.mark.parametrize(
    "arguments", [["--loads", "keepalive-2k"], ["--proxies", "lb,apache"], ["--lb", "/nowhere"]]
)
def test_what_is_unknown_is_refused(arguments, capsys):
    with pytest.raises(SystemExit):
        options(arguments)
    assert arguments[1].split(",")[-1] in capsys.readouterr().err


def test_paced_loads_name_loads_that_exist():
    for load in LOADS.values():
        assert not load.paced_by or not LOADS[load.paced_by].paced_by

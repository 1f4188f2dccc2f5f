"""`python -m tests.safety.inside run FILE`: `lb run FILE`, whose control writes down what it publishes, keeps
as many revisions as the judge reads, and obeys orders that are faults (tests.safety.node). Its workers are
lb's own.
"""

from __future__ import annotations

import os
import threading
from functools import partial

from tests.safety.node import Log, Recorded  # first: the clock is made one that can be stepped

from lb.cli.main import main  # isort: skip
from lb.control import clustering  # isort: skip

made = []


def electing(*given):
    made.append(Recorded(*given))
    return made[-1]


def obey():
    with open(os.environ["LB_TEST_SAFETY_ORDERS"]) as orders:
        for line in orders:
            if made:
                made[-1].obey(line.split())


if __name__ == "__main__":
    Recorded.log = Log(os.environ["LB_TEST_SAFETY_LOG"])
    clustering.Electing, clustering.Desk = electing, partial(clustering.Desk, history=1000)
    threading.Thread(target=obey, daemon=True).start()
    main()

"""`python -m bench.quick`: the same benchmark, small by default, for a look before and after a change.

Takes every option of `python -m bench`; what is given there comes after these and wins.
"""

from __future__ import annotations

import sys

from bench.__main__ import main

SMALL = ("--proxies", "lb,nginx,haproxy", "--loads", "keepalive-1k,large-64k", "--name", "quick")

if __name__ == "__main__":
    sys.exit(main([*SMALL, *sys.argv[1:]], "bench.quick"))

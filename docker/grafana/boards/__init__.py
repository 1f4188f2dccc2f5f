"""The dashboards of lb, in the order in which one looks at them."""

from boards.cluster import CLUSTER
from boards.health import HEALTH
from boards.overview import OVERVIEW
from boards.process import PROCESS
from boards.service import SERVICE

BOARDS = (OVERVIEW, SERVICE, HEALTH, CLUSTER, PROCESS)

"""Every YAML block of the pages loads, without findings where it is a whole file.

A block that is a part of a file is completed: a service's or route's own keys are put into one; a listener, a
service and a route are added where there are none. What is no configuration of lb is fenced otherwise, or has
`<!-- not lb's -->` on the line before. Files that a block names are made, and every variable is set to 1.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from lb.config import lint, read
from lb.config.service import ServiceSpec
from lb.config.routes import RouteSpec
from lb.config.spec import Spec

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"(<!-- not lb's -->\n)?^( *)```yaml\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)

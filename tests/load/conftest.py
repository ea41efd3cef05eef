"""Locust must not replace threads and sockets in the process of the tests."""

from __future__ import annotations

import os

os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"

"""Keeps Locust from replacing threads and sockets in the test process."""

from __future__ import annotations

import os

os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"

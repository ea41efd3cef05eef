"""Sound: devices, queues, formats, levels, speech detection. Knows nothing of sessions or protocols."""

import os

# For numpy, before it is loaded: its linear algebra would start a thread for every core, although the matrices of the
# speech detector are so small that waking one costs more than it saves.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

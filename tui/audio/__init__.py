"""Sound: devices, queues, formats, levels, speech detection. Does not depend on sessions or protocols."""

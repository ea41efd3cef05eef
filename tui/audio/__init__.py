"""Sound: devices, queues, formats, levels, speech detection. Knows nothing of sessions or protocols."""

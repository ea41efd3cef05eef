"""Sound: devices, queues, formats, levels and speech detection, independent of sessions and protocols."""

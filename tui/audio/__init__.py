"""Sound: devices, queues, formats, levels and speech detection.

This package does not depend on sessions or protocols.
"""

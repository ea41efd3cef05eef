"""Sound: devices, queues, formats, levels, speech detection.

This package does not depend on sessions or protocols.
"""

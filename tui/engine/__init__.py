"""The engine: a separate process that makes the calls and owns the sound devices, with the screen's handle to it."""

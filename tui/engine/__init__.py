"""The engine, a separate process that makes the calls and owns the sound devices; and the screen's handle to it."""

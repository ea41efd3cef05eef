"""The engine, a separate process that runs the call and owns the sound devices, and the screen's handle to it."""

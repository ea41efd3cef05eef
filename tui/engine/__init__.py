"""The engine: a separate process that holds the call and the sound devices, and the handle on it."""

"""The engine: a process of its own that holds the call and the sound devices, and the handle on it."""

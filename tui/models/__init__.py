"""The state of a session: its events, and the models that are computed from them."""

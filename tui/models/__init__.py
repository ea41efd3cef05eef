"""Session state: the events of a session and the models computed from them."""

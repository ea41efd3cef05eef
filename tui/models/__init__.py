"""What is known of a session: the events, and the models that fold them."""

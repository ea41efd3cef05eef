"""State that screens, bridge and replay share."""

"""State that the screens, the bridge and the replay share."""

"""State of the view that the screens, the bridge and the replay share."""

"""State shared by screens, bridge and replay."""

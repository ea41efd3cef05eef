"""Sessions on disk: written as they happen, opened again, measured again, listed, deleted."""

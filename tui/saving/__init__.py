"""Sessions on disk: writing, reading, remeasuring, listing and deleting them."""

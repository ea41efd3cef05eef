"""Sessions on disk: writing, reading, measuring again, listing and deleting them."""

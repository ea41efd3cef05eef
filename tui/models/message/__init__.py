"""One message: JSON, tree, diff, audio."""

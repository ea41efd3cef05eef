"""Views of one message: JSON, tree, diff and audio."""

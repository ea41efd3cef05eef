"""Text, numbers and JSON as they are shown."""

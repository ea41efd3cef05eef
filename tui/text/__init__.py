"""Prepares text, numbers and JSON for display."""

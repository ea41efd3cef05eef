"""The sound of a call: capture, playback, device care, and measurements of both tracks."""

"""The sound of a call: capture, playback, device care, and what is measured of both tracks."""

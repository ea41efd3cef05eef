"""One live call: `live.LiveSession` and its parts."""

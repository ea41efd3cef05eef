"""A live call: `tui.session.live.LiveSession` and its parts."""

"""The user's settings, from the settings file, the environment and profiles.

State that is saved automatically is in `tui.remembered`.
"""

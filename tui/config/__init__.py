"""The user's settings, from the settings file, the environment and profiles.

`tui.remembered` contains the state that the program saves by itself.
"""

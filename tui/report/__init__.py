"""Exports a saved session as one self-contained HTML page, which needs no server, network or other program."""

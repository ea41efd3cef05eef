"""A saved session as one self-contained HTML page, which needs no server, network or program."""

"""The caller's and the agent's end of each wire protocol, neither of which performs I/O."""

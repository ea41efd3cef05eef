"""The local agent: a small server that plays the agent's side of each protocol."""

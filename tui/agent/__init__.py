"""The local agent: a small server that speaks the protocols from the other side."""

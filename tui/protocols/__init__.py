"""Wire protocols without input or output of their own, both ends of each."""

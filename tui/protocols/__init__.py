"""Wire protocols without input or output of their own, one file each, both ends in it."""

"""The screens: what is laid out where, and which keys mean what."""

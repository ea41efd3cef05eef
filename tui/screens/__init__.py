"""The screens: their layout and their keys."""

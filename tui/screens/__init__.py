"""The screens, with their layouts and keys."""

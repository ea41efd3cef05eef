"""Tools: reading the user's file, describing them, running them, announcing them."""

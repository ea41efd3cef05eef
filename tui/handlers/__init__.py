"""From what a message means to what happens: routing, and the execution of tools."""

"""Routing of decoded messages to handlers, and the execution of tools."""

"""Scenarios: calls written as files, played live or headless, and judged by what was heard."""

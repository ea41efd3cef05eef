"""Scenarios: calls as files, played live or headless and judged by what was heard."""

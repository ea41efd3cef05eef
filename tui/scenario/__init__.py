"""Scenarios: scripted calls in files. A scenario is played live or headless, and judged by what was heard."""

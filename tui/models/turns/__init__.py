"""Turns, metrics, barge-ins and talk, folded from events."""

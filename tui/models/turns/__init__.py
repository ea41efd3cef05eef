"""Turns, metrics, barge-ins and talk time, folded from events."""

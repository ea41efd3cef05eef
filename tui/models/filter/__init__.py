"""The filter language of the event log."""

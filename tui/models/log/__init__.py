"""The event log: storage, views, search, marks, pairs and export."""

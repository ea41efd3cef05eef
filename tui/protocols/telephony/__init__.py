"""The media streams of telephony providers: two shared ends, driven by a table for each provider."""

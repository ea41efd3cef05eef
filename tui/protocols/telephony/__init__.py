"""The media streams of telephony providers: two ends for all of them, and a table for each."""

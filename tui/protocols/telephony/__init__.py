"""The media streams of telephony providers: one caller's end, driven by a table per provider."""

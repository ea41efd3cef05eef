"""Voices and ears without a network: any sentence as audio, audio as words, and word error rates.

`SpeechProcess` is the way in: it keeps synthesizer and recognizer in a separate process. `word_error_rate`
compares what was said with what was heard. Synthesizer and recognizer come with the ``speech`` extra.
"""

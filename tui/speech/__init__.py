"""Speech synthesis and recognition without a network, and word error rates.

Use `SpeechProcess`, which runs synthesizer and recognizer in a separate process. `word_error_rate` compares
recognized words with expected ones. Synthesizer and recognizer come with the ``speech`` extra.
"""

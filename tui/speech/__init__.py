"""Speech synthesis and recognition without a network, and word error rates.

Use `SpeechProcess`, which runs the synthesizer and the recognizer in a separate process.
`word_error_rate` compares recognized words with expected ones. The synthesizer and the recognizer
come with the ``speech`` extra.
"""

"""Measures how far this program's times can be trusted with a pair of devices, in a call with the local agent.

The caller speaks recorded lines in place of what the microphone hears, at known samples of its stream, and the agent
repeats them. Where the microphone hears the speaker (a cable, a loop of virtual devices, a speaker in the room), its
stream has both the end of a line and the answer to it, so that their distance in samples is the true response time,
whatever the drivers state. Without such a loop, only the edges of sound are compared with the samples.
"""

"""Measures the accuracy of this program's times with a pair of devices, in a call with the local agent.

Recorded lines replace the microphone's input at known samples of its stream, and the agent repeats the lines.
If the microphone can hear the speaker (through a cable, a loop of virtual devices, or the air), the
microphone's stream contains both the end of a line and the answer. The distance in samples from the end of
the line to the answer is the true response time, regardless of the latency that the drivers report. Without
such a loop, only the detected edges of sound are compared with the samples.
"""

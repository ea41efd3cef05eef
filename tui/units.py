"""Units of time. Times in the program are in nanoseconds on one monotonic clock."""

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

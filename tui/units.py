"""Units of time. All times in the program are nanoseconds on one monotonic clock."""

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

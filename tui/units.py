"""Units of time that the whole program shares; instants are nanoseconds of one monotonic clock."""

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

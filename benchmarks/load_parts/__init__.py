"""Parts of the load test benchmark that run whole load tests."""

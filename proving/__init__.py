"""What tests, benchmarks and faults stand on: systems, servers, stand-ins. Not shipped."""

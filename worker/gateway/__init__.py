"""Our side of the remote API: one request in, one `Reply` or one `Fault` out."""

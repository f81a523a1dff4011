"""What asks: the client (one door), readers, the command line, one script per kind of job."""

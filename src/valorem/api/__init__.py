"""The HTTP face: parse a request, call one engine verb, write its answer. Nothing else."""

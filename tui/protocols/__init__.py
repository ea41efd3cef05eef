"""Both ends of each wire protocol, which do no I/O themselves."""

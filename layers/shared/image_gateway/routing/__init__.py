"""Where a request goes: the choice of a connection, an engine and a model, made once and carried by the job."""

"""JSON schemas of all that goes over the wire, made from the code that reads and writes it."""

"""The dashboard's server: what the loop hears, for browsers, from a thread of its own."""

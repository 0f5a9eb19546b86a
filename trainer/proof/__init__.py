"""The proof on real sound: every backbone alone and with GL-AT, on equal terms, from a corpus to a page of tables."""

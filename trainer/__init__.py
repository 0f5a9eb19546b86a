"""The trainer: networks, selection, data, training, evaluation; writes weights and graphs."""

"""Events: from the scores of every window to sounds that begin, go on and end."""

"""Who may connect to this node: its keys, the clients that it knows, and what each of them may do."""

"""The journal: every event on disk before anyone hears of it, and handed out again to whoever was away."""

"""What a user would run instead of glatd, side by side with it in one run: cost, latency, memory, start-up and mAP."""

"""How much this machine can listen to: tried in real time, and reckoned from what the parts of the work cost."""

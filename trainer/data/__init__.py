"""Weakly labelled clips: lists of them, packs, what is drawn when, what is done to it, and a loader."""

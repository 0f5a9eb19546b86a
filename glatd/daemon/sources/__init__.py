"""Where audio comes from: one file a kind of source, all behind `base.Source`."""

"""Training by weakly labelled clips, as the paper does it: recipe, objective, loop, report, sweep."""

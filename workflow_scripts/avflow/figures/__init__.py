"""Drawing only: every figure and the explorer's page. Colours of routes are in `route_styles`, all others in `palette`."""

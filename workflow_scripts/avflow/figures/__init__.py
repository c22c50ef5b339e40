"""Drawing only: every figure, and the explorer's page. `route_styles` holds the routes' colours and `palette` all others."""

"""Drawing only: every figure, and the explorer's page. `route_styles` holds the routes' colours and `palette` all others."""

from .. import attach

__getattr__, __dir__, __all__ = attach(__name__, {"trace_map": ["draw"]})

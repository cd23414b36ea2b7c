"""The plots' library as text, to be carried inside the page: the one module that knows plotly.

Only its script is used; figures are plain dicts (`figure.py`), since the page is drawn where it is
opened. This module must not know what is drawn.
"""

from __future__ import annotations

from plotly.offline import get_plotlyjs


def script() -> str:
    """Some 5 MB of JavaScript that a page may hold between script tags."""
    text: str = get_plotlyjs()
    return text.replace("</script", "<\\/script")

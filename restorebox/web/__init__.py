"""A web page over the inferencer: what it does for a visitor, the page itself, and the server."""

from restorebox.web.desk import Answer, Desk, Limits

__all__ = ['Answer', 'Desk', 'Limits']

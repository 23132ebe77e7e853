"""Web interface for restoration: the service, the Gradio page and the server."""

from restorebox.web.service import Limits, RestorationResult, RestorationService

__all__ = ['Limits', 'RestorationResult', 'RestorationService']

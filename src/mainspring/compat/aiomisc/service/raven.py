"""`aiomisc.service.raven`: exceptions go to Sentry, by way of sentry-sdk."""

from mainspring.services import RavenSender

__all__ = ("RavenSender",)

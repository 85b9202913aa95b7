"""`aiomisc.service.aiohttp`: aiohttp applications as services."""

from mainspring.services import AIOHTTPService as AIOHTTPService

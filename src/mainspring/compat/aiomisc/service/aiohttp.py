"""`aiomisc.service.aiohttp`: aiohttp applications as services."""

from mainspring.services import AIOHTTPService as AIOHTTPService
from mainspring.services import AIOHTTPSSLService as AIOHTTPSSLService

"""`aiomisc.service.asgi`: ASGI applications behind aiohttp."""

from mainspring.services import ASGIApplicationType as ASGIApplicationType
from mainspring.services import ASGIHTTPService as ASGIHTTPService
from mainspring.services import ASGIHTTPSSLService as ASGIHTTPSSLService
from mainspring.services import ASGIReceiveType as ASGIReceiveType
from mainspring.services import ASGIScopeType as ASGIScopeType
from mainspring.services import ASGISendType as ASGISendType

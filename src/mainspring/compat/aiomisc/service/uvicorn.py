"""`aiomisc.service.uvicorn`: ASGI applications behind uvicorn."""

from mainspring.services import UvicornApplication as UvicornApplication
from mainspring.services import UvicornService as UvicornService

"""`aiomisc.service.carbon`: metrics go to carbon."""

from mainspring.services import CarbonSender, strip_carbon_ns

__all__ = ("CarbonSender", "strip_carbon_ns")

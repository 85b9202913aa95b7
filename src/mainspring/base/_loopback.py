"""Which hosts are this machine itself."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine and nobody else can reach it; names other than localhost are not."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"

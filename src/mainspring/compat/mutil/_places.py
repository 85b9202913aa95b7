"""The older library's hosts and ports, as addresses of ours."""


def place(scheme: str, host: str, port: int) -> str:
    """Return the address of a host, which may be one of IPv6."""
    return f"{scheme}://[{host}]:{port}" if ":" in host and host[0] != "[" else f"{scheme}://{host}:{port}"

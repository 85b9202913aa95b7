"""`aiomisc.service.grpc_server`: servers of gRPC."""

from mainspring.services import GRPCService as GRPCService

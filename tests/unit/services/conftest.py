"""Fixtures of the services' tests."""

import pytest
from tests.unit.services.support_certificates import Certificates, make_certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Files with certificates."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))
